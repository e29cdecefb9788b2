//! What is kept for a person: in whose prompts it is, however the request says who that is, and through a crash.

use crate::socket::{Socket, create};
use crate::support::{Daemon, client, command};
use crate::upstream::{Act, Request, Server, accepted, calls, stream, turn};
use crate::with;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An upstream that keeps what it is told to, waits when it is told to, and has its say to all else.
async fn upstream() -> Server {
    Server::directed(|_, request: &Request| {
        let last = request.body["messages"].as_array().unwrap().last().unwrap();
        match last["content"].as_str().unwrap_or_default() {
            "wait" => vec![accepted(), Act::Hold],
            fact if fact.starts_with("note: ") && last["role"] == "user" => {
                let arguments = json!({"action": "add", "text": fact.trim_start_matches("note: ")});
                turn([calls(0, "c", "memory", &arguments)], "tool_calls")
            }
            _ => stream("Well."),
        }
    })
    .await
}

/// Keys of `ann`, of `bob` and of a frontend, `web`; a profile with each tool, one more, and one without a memory.
fn daemon(upstream: &Server) -> Daemon {
    let key = |name: &str, more: &str| {
        format!("{{name: {name}, hash: 'sha256:{}'{more}}}", hex::encode(Sha256::digest(name)))
    };
    Daemon::with(&format!(
        "auth: {{keys: [{}, {}, {}]}}\n\
         upstreams: {{default: {{base_url: '{}', model: m}}}}\n\
         profiles: {{nuncio: {{instructions: Be kind.}}, other: {{}}, forgetful: {{tools: [todo]}}}}\n",
        key("ann", ""),
        key("bob", ""),
        key("web", ", trusted_frontend: true"),
        upstream.base_url
    ))
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Who asks, and how they say it.
#[derive(Clone, Copy, Debug)]
struct Person<'a> {
    key: &'a str,
    headers: Headers<'a>,
    body: &'a str,
}

const fn person<'a>(key: &'a str, headers: Headers<'a>, body: &'a str) -> Person<'a> {
    Person { key, headers, body }
}

impl Person<'_> {
    async fn post(&self, daemon: &Daemon, path: &str, body: Value) -> Value {
        let body = with(body, serde_json::from_str(self.body).unwrap());
        let mut request = client().post(daemon.url(path)).bearer_auth(self.key).json(&body);
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, answer) = (response.status(), response.json::<Value>().await.unwrap());
        assert_eq!(status, 200, "{self:?}: {answer}");
        answer
    }

    async fn chat(&self, daemon: &Daemon, model: &str, words: &str) {
        let body = json!({"model": model, "messages": [{"role": "user", "content": words}]});
        self.post(daemon, "/v1/chat/completions", body).await;
    }

    async fn respond(&self, daemon: &Daemon, words: &str) {
        self.post(daemon, "/v1/responses", json!({"model": "nuncio", "input": words})).await;
    }
}

/// The core prompt of a request to the model.
fn prompt(request: &Request) -> &str {
    let first = &request.body["messages"][0];
    if first["role"] == "system" { first["content"].as_str().unwrap() } else { "" }
}

/// The core prompt of the last one.
fn last_prompt(upstream: &Server) -> String {
    prompt(&upstream.requests().pop().unwrap()).to_owned()
}

/// The notes that the last prompt shows, joined.
fn notes(upstream: &Server) -> String {
    let prompt = last_prompt(upstream);
    let lines = prompt.split_once("<notes>\n").map(|(_, rest)| rest.split_once("</notes>").unwrap().0);
    lines.unwrap_or_default().replace('\n', ";")
}

const NOBODY: Headers<'_> = &[];
const VOUCHED: Headers<'_> = &[("X-OpenWebUI-User-Id", "vouched-for")];
const KEY: Headers<'_> = &[("X-Hermes-Session-Key", "session-key")];
const VOUCHED_AND_KEY: Headers<'_> = &[KEY[0], VOUCHED[0]];

#[tokio::test]
async fn a_note_is_in_later_prompts_of_the_same_person_alone() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream);
    let one = person("ann", NOBODY, r#"{"user": "one"}"#);
    one.chat(&daemon, "nuncio", "note: Likes tea.").await;
    assert_eq!(last_prompt(&upstream), "Be kind.", "not in the run that has made it");
    let others = [
        (person("ann", NOBODY, r#"{"user": "two"}"#), "nuncio"),
        (person("ann", NOBODY, "{}"), "nuncio"),
        (person("bob", NOBODY, r#"{"user": "one"}"#), "nuncio"),
        (one, "other"),
        (one, "forgetful"),
    ];
    for (other, model) in others {
        other.chat(&daemon, model, "hi").await;
        assert_eq!(notes(&upstream), "", "{other:?} {model}");
    }
    one.chat(&daemon, "nuncio", "hi").await;
    assert_eq!(notes(&upstream), "1 \"Likes tea.\";");
    assert!(last_prompt(&upstream).starts_with("Be kind.\n\nYour notes from earlier sessions"));
    one.respond(&daemon, "hi").await;
    assert_eq!(notes(&upstream), "1 \"Likes tea.\";");

    // A prompt does not change while its run goes on, so that the model's server can keep what it has read of it.
    one.chat(&daemon, "nuncio", "note: Lives in Rome.").await;
    let requests = upstream.requests();
    let [first, second] = &requests[requests.len() - 2..] else { unreachable!() };
    assert_eq!(prompt(first), prompt(second));
    one.chat(&daemon, "nuncio", "hi").await;
    assert_eq!(notes(&upstream), "1 \"Likes tea.\";2 \"Lives in Rome.\";");

    // A title is asked for on the side: it has no notes.
    one.chat(&daemon, "nuncio", "### Task:\nGenerate a title.").await;
    assert_eq!(last_prompt(&upstream), "");
}

#[tokio::test]
async fn runs_at_the_same_time_lose_no_note() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream);
    let one = person("ann", NOBODY, r#"{"user": "one"}"#);
    let facts: Vec<String> = (10..30).map(|number| format!("fact {number}")).collect();
    let noted = facts.iter().map(async |fact| one.chat(&daemon, "nuncio", &format!("note: {fact}")).await);
    join_all(noted).await;
    one.chat(&daemon, "nuncio", "hi").await;
    let notes = notes(&upstream);
    assert!(facts.iter().all(|fact| notes.contains(&format!("\"{fact}\";"))), "{notes}");
    assert_eq!(notes.matches(';').count(), facts.len(), "{notes}");
}

#[tokio::test]
async fn who_a_request_is_for_is_said_in_this_order() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream);
    let both = r#"{"user": "u", "safety_identifier": "s"}"#;
    let people = [
        person("ann", NOBODY, r#"{"user": "u"}"#),
        person("ann", NOBODY, both),
        person("ann", KEY, both),
        person("ann", VOUCHED, "{}"),
        person("web", VOUCHED_AND_KEY, both),
        person("web", KEY, both),
        person("web", NOBODY, both),
        // What a person writes is never taken for what the frontend says.
        person("web", NOBODY, r#"{"user": "vouched-for"}"#),
    ];
    for (number, person) in people.iter().enumerate() {
        person.chat(&daemon, "nuncio", &format!("note: {number}")).await;
    }
    let same = [
        (person("ann", NOBODY, r#"{"user": "u", "safety_identifier": ""}"#), "0"),
        (person("ann", NOBODY, r#"{"safety_identifier": "s"}"#), "1"),
        (person("ann", KEY, "{}"), "2"),
        // A header that no trusted key came with names nobody.
        (person("ann", NOBODY, "{}"), "3"),
        (person("web", VOUCHED, r#"{"user": "x"}"#), "4"),
        (person("web", KEY, "{}"), "5"),
        (person("web", NOBODY, r#"{"safety_identifier": "s"}"#), "6"),
        (person("web", NOBODY, r#"{"user": "vouched-for"}"#), "7"),
    ];
    for (person, expected) in same {
        person.chat(&daemon, "nuncio", "hi").await;
        assert_eq!(notes(&upstream), format!("1 \"{expected}\";"), "{person:?}");
        person.respond(&daemon, "hi").await;
        assert_eq!(notes(&upstream), format!("1 \"{expected}\";"), "{person:?}");
    }
    // What names a person goes to the model's server as before.
    assert_eq!(upstream.requests()[2].body["user"], "u");
    assert!(!["vouched-for", "session-key"].iter().any(|said| daemon.log().contains(said)), "{}", daemon.log());
}

#[tokio::test]
async fn a_header_that_cannot_be_a_name_is_refused_and_a_body_is_taken_as_ever() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream);
    let post = async |header: &str| {
        let body = json!({"model": "nuncio", "messages": [{"role": "user", "content": "hi"}]});
        let request = client().post(daemon.url("/v1/chat/completions")).bearer_auth("ann").json(&body);
        let response = request.header("x-hermes-session-key", header).send().await.unwrap();
        let (status, answer) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
        (status, answer["error"]["param"].as_str().map(str::to_owned))
    };
    assert_eq!(post(&"k".repeat(257)).await, (400, Some("x-hermes-session-key".to_owned())));
    assert_eq!(post(&"k".repeat(256)).await, (200, None));

    person("web", VOUCHED, "{}").chat(&daemon, "nuncio", "note: vouched").await;
    let long = "u".repeat(100_000);
    for user in [&format!("{long}1"), &format!("{long}2"), "\u{0}vouched-for"] {
        let body = json!({"user": user}).to_string();
        let person = person("web", NOBODY, &body);
        person.chat(&daemon, "nuncio", "hi").await;
        assert_eq!(notes(&upstream), "");
        person.chat(&daemon, "nuncio", "note: own").await;
        person.chat(&daemon, "nuncio", "hi").await;
        assert_eq!(
            (notes(&upstream).as_str(), &upstream.requests().pop().unwrap().body["user"]),
            ("1 \"own\";", &json!(user))
        );
    }
}

#[tokio::test]
async fn turns_on_a_websocket_are_for_whom_its_handshake_names() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream);
    person("ann", KEY, "{}").chat(&daemon, "nuncio", "note: Likes tea.").await;
    person("ann", NOBODY, r#"{"user": "u"}"#).chat(&daemon, "nuncio", "note: Likes milk.").await;
    for (headers, expected) in [
        (vec![("authorization", "Bearer ann"), ("x-hermes-session-key", "session-key")], "1 \"Likes tea.\";"),
        (vec![("authorization", "Bearer ann")], "1 \"Likes milk.\";"),
    ] {
        let mut socket = Socket::open_with(&daemon, &headers).await;
        socket.turn(&with(create("hi"), json!({"user": "u"}))).await;
        assert_eq!(notes(&upstream), expected);
    }
}

#[tokio::test]
async fn a_run_that_outlives_its_daemon_is_still_for_the_same_person() {
    for person in [person("ann", KEY, "{}"), person("ann", NOBODY, r#"{"user": "u"}"#)] {
        let upstream = upstream().await;
        let daemon = daemon(&upstream);
        person.chat(&daemon, "nuncio", "note: Likes tea.").await;
        let before = upstream.count();
        let body = json!({"model": "nuncio", "input": "wait", "background": true});
        person.post(&daemon, "/v1/responses", body).await;
        upstream.asked(before + 1).await;
        assert_eq!(notes(&upstream), "1 \"Likes tea.\";");
        let folder = daemon.killed();
        let _next = Daemon::of(command(folder.path()), folder);
        upstream.asked(before + 2).await;
        assert_eq!(notes(&upstream), "1 \"Likes tea.\";", "{person:?}");
    }
}

/// Or the second one would be told what is known of the first.
#[tokio::test]
async fn the_same_words_of_another_person_are_no_repetition() {
    let upstream = upstream().await;
    let daemon = daemon(&upstream);
    let ask = async |user: &str| {
        let body = json!({"model": "nuncio", "stream": true, "messages": [{"role": "user", "content": "wait"}]});
        let request = client().post(daemon.url("/v1/chat/completions")).bearer_auth("web").json(&body);
        let headers = [("x-openwebui-user-id", user), ("x-nuncio-on-disconnect", "detach")];
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.header("x-stainless-retry-count", "1").send().await.unwrap()
    };
    let _first = ask("one").await;
    let _again = ask("one").await;
    assert_eq!(upstream.count(), 1, "the same person comes back to the run");
    let _other = ask("two").await;
    upstream.asked(2).await;
}
