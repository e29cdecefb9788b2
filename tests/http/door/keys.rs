//! Bearer keys.

use super::{chat, error};
use crate::raw::{Answer, ask, local};
use crate::support::{Daemon, REHEARSAL, command};
use nuncio::config::auth::KeyHash;

/// A daemon with two keys from its file, one of them made by `nuncio key new`, and one from the environment.
struct Keyed {
    daemon: Daemon,
    made: String,
}

impl Keyed {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = command(folder.path()).args(["key", "new", "alice"]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let line = |start: &str| printed.lines().find_map(|line| line.trim().strip_prefix(start)).unwrap();
        let made = format!("nk-{}", line("nk-"));
        let keys = format!("- {}\n    - {{name: bob, hash: \"{}\"}}", line("- "), KeyHash::of("bobs-key"));
        let yaml = format!("{REHEARSAL}auth:\n  keys:\n    {keys}\n");
        Self { daemon: Daemon::with_environment(&yaml, &[("API_SERVER_KEY", "from-the-environment")]), made }
    }

    async fn ask(&self, line: &str, authorization: &str) -> Answer {
        let header = if authorization.is_empty() { String::new() } else { format!("\nAuthorization: {authorization}") };
        let head = format!("{line} HTTP/1.1\nContent-Type: application/json{header}");
        let body = if line.starts_with("POST") { chat("Hello").to_string() } else { String::new() };
        ask(self.daemon.address(), &local(&head, body)).await
    }
}

#[tokio::test]
async fn the_keys_open_and_nothing_else_does() {
    let keyed = Keyed::start();
    let right = [
        format!("Bearer {}", keyed.made),
        "Bearer bobs-key".to_owned(),
        "bearer bobs-key".to_owned(),
        "Bearer  bobs-key ".to_owned(),
        "Bearer from-the-environment".to_owned(),
    ];
    for authorization in right {
        assert_eq!(keyed.ask("GET /v1/models", &authorization).await.status, 200, "{authorization}");
    }
    let missing = error(
        "invalid_request_error",
        "missing_api_key",
        "You didn't provide an API key: send it as `Authorization: Bearer KEY`.",
    );
    let incorrect = error(
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided. The keys are in the server's configuration under `auth.keys`.",
    );
    let hash = format!("Bearer {}", KeyHash::of("bobs-key"));
    let wrong = [
        ("", &missing),
        ("bobs-key", &missing),
        ("Basic Ym9iOmJvYnMta2V5", &missing),
        ("Bearer", &missing),
        ("Bearerbobs-key", &missing),
        ("Bearer bobs-ke", &incorrect),
        ("Bearer bobs-keys", &incorrect),
        ("Bearer BOBS-KEY", &incorrect),
        ("Bearer bobs-key, Bearer x", &incorrect),
        ("Bearer \u{fffd}", &incorrect),
        (hash.as_str(), &incorrect),
    ];
    for (authorization, expected) in wrong {
        for line in ["GET /v1/models", "POST /v1/chat/completions"] {
            let answer = keyed.ask(line, authorization).await;
            assert_eq!((answer.status, &answer.json()), (401, expected), "{line} {authorization}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test]
async fn all_but_health_wants_a_key() {
    let keyed = Keyed::start();
    // What a request gets without a key and with one.
    let lines = [
        ("GET /health", 200, 200),
        ("GET /v1/health", 200, 200),
        ("POST /health", 405, 405),
        ("GET /health/detailed", 401, 200),
        ("GET /v1/models", 401, 200),
        ("GET /v1/models/nuncio", 401, 200),
        ("GET /v1/models/nobody", 401, 404),
        ("POST /v1/chat/completions", 401, 200),
        ("GET /v1/chat/completions", 401, 405),
        ("GET /v1/unknown", 401, 404),
        ("GET /v1/../health/detailed", 401, 404),
        ("GET /health/", 401, 404),
        ("GET /", 401, 404),
    ];
    for (line, without, with) in lines {
        let got = (keyed.ask(line, "").await.status, keyed.ask(line, "Bearer bobs-key").await.status);
        assert_eq!(got, (without, with), "{line}");
    }
}

#[tokio::test]
async fn no_key_reaches_a_command() {
    let daemon = Daemon::with_environment(REHEARSAL, &[("API_SERVER_KEY", "from-the-environment")]);
    let head = "POST /v1/chat/completions HTTP/1.1\nContent-Type: application/json\nAuthorization: Bearer from-the-environment";
    let answer = ask(daemon.address(), &local(head, chat("run: env; cat /proc/$PPID/environ").to_string())).await;
    let said = answer.json()["choices"][0]["message"]["content"].to_string();
    assert!(said.contains("PATH=") && !said.contains("from-the-env"), "{said}");
}

#[tokio::test]
async fn a_refused_upload_is_told_why() {
    let keyed = Keyed::start();
    // More than any buffer on the way holds, so that it is refused while it is still being sent.
    let body = vec![b' '; 30 << 20];
    let answer = ask(keyed.daemon.address(), &local("POST /v1/chat/completions HTTP/1.1", body)).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (401, &"missing_api_key".into()));
}
