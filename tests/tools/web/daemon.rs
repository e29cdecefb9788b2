//! The tools as the configuration sets them up, called by a model of the running daemon.

use super::site::{Site, ok};
use super::support::{Daemon, REHEARSAL, client};
use serde_json::{Value, json};

/// What the rehearsal says to a script.
async fn say(daemon: &Daemon, script: &str) -> String {
    let body = json!({"model": "nuncio", "messages": [{"role": "user", "content": script}]});
    let answer = client().post(daemon.url("/v1/chat/completions")).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn output(daemon: &Daemon, tool: &str, arguments: Value) -> String {
    say(daemon, &format!("call: {tool} {arguments}\nthen\necho: output")).await
}

#[tokio::test]
async fn a_daemon_fetches_what_is_allowed_and_by_default_nothing_of_its_own_machine() {
    let site = Site::new(|_| ok("text/html", "<h1>Reached")).await;
    let arguments = json!({"url": site.url("/page")});
    let shown = output(&Daemon::rehearsing(), "fetch_url", arguments.clone()).await;
    assert!(shown.contains("Cannot fetch: 127.0.0.1 is a loopback address."), "{shown}");
    assert_eq!(site.lines(), [""; 0]);

    let allowing = Daemon::with(&format!("{REHEARSAL}tools: {{fetch_url: {{allow: [127.0.0.1]}}}}\n"));
    let shown = output(&allowing, "fetch_url", arguments).await;
    assert!(shown.contains("# Reached"), "{shown}");
    assert_eq!(site.lines(), ["GET /page HTTP/1.1"]);
}

#[tokio::test]
async fn a_daemon_searches_where_it_has_a_provider_and_keeps_the_key_to_itself() {
    let without = say(&Daemon::rehearsing(), "echo: tools").await;
    assert!(without.contains("fetch_url") && !without.contains("web_search"), "{without}");

    let site =
        Site::new(|_| ok("application/json", r#"{"results": [{"title": "Found", "url": "https://a.test/"}]}"#)).await;
    let search = format!("{{provider: tavily, base_url: '{}', api_key_env: SEARCH_KEY}}", site.url(""));
    let yaml = format!("{REHEARSAL}log: {{filter: trace}}\ntools: {{web_search: {search}}}\n");
    let daemon = Daemon::with_environment(&yaml, &[("SEARCH_KEY", "s3cret-key")]);
    let shown = output(&daemon, "web_search", json!({"query": "x"})).await;
    assert!(shown.contains("1. Found"), "{shown}");
    let [head] = site.heads().try_into().unwrap();
    assert!(head.contains("authorization: Bearer s3cret-key\r\n"), "{head}");
    let commands = output(&daemon, "terminal", json!({"command": "env"})).await;
    assert!(!commands.contains("s3cret-key"), "{commands}");
    assert!(!daemon.log().contains("s3cret-key"));
}
