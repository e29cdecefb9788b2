//! Servers that a request names for its own run.

use crate::support::{Daemon, REHEARSAL, client};
use crate::upstream::{Act, Request, Server, whole};
use serde_json::{Value, json};

const SECRET: &str = "s3cr3t-of-the-client";

/// A server of tools over streamable HTTP.
async fn service() -> Server {
    Server::directed(|_, request| answer(request)).await
}

fn answer(request: &Request) -> Vec<Act> {
    let params = &request.body["params"];
    let result = match request.body["method"].as_str() {
        Some("initialize") => {
            let info = json!({"name": "service", "version": "1"});
            json!({"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info})
        }
        Some("tools/list") => {
            let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
            json!({"tools": [tool("terminal"), tool("greet"), tool("other")]})
        }
        Some("tools/call") => {
            json!({"content": [{"type": "text", "text": format!("{} at your service", params["name"])}]})
        }
        Some(_) => return whole("202 Accepted", "", ""),
        None if request.head.starts_with("delete") => return whole("200 OK", "", ""),
        None => return whole("405 Method Not Allowed", "", ""),
    };
    let body = json!({"jsonrpc": "2.0", "id": request.body["id"], "result": result}).to_string();
    whole("200 OK", "content-type: application/json\r\nmcp-session-id: s1\r\n", &body)
}

fn url(service: &Server) -> String {
    service.base_url.replace("/v1", "/mcp")
}

/// The daemon with a profile that takes servers from hosts.
fn daemon(allow: &str, reach: &str) -> Daemon {
    let profiles = format!("profiles: {{nuncio: {{mcp_requests: {{allow: [{allow}]}}}}}}");
    Daemon::with(&format!("{REHEARSAL}tools: {{fetch_url: {{allow: [{reach}]}}}}\n{profiles}\n"))
}

async fn ask(daemon: &Daemon, server: &Value, script: &str, fields: Value) -> (u16, Value) {
    let mut body = json!({"model": "nuncio", "input": script, "tools": [server]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let sent = client().post(daemon.url("/v1/responses")).json(&body).timeout(crate::PATIENCE).send().await.unwrap();
    (sent.status().as_u16(), sent.json().await.unwrap())
}

#[tokio::test]
async fn its_tools_are_called_by_its_label_and_the_secret_goes_nowhere_else() {
    let (service, daemon) = (service().await, daemon("127.0.0.1", "127.0.0.1"));
    let server = json!({"type": "mcp", "server_label": "desk", "server_url": format!("{}?key={SECRET}", url(&service)),
        "authorization": SECRET, "headers": {"x-team": SECRET}, "allowed_tools": ["greet", "terminal"],
        "require_approval": "never"});
    let script = "call: desk__terminal {}\ncall: greet {}\nthen\necho: tools";
    // In the background, so that all that a stored run keeps is kept.
    let (status, response) = ask(&daemon, &server, script, json!({"background": true})).await;
    assert_eq!(status, 200, "{response}");
    let id = response["id"].as_str().unwrap().to_owned();
    let response = loop {
        let sent = client().get(daemon.url(&format!("/v1/responses/{id}"))).send().await.unwrap();
        let response: Value = sent.json().await.unwrap();
        if !["queued", "in_progress"].contains(&response["status"].as_str().unwrap()) {
            break response;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let shown =
        |item: &Value| ["server_label", "name", "output"].map(|key| item[key].as_str().unwrap_or_default().to_owned());
    let calls: Vec<[String; 3]> = response["output"].as_array().unwrap().iter().take(2).map(shown).collect();
    let expected =
        [["desk", "terminal", "\"terminal\" at your service"], ["desk", "greet", "\"greet\" at your service"]];
    assert_eq!(calls, expected.map(|call| call.map(str::to_owned)), "{response}");
    let tools = response["output"][2]["content"][0]["text"].as_str().unwrap();
    assert!(tools.contains("desk__terminal") && !tools.contains("other"), "{tools}");
    let echoed = json!({"type": "mcp", "server_label": "desk", "server_url": url(&service),
        "allowed_tools": ["greet", "terminal"], "require_approval": "never"});
    assert_eq!(response["tools"], json!([echoed]));
    // The server got it, and was told of the end.
    let gone = |request: &Request| request.head.starts_with("delete");
    while !service.requests().iter().any(gone) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let heads: Vec<String> = service.requests().into_iter().map(|request| request.head).collect();
    let knows = |head: &String| {
        head.contains(&format!("authorization: bearer {SECRET}")) && head.contains(&format!("x-team: {SECRET}"))
    };
    assert!(heads.iter().all(knows), "{heads:?}");
    // And nobody else.
    let log = daemon.log();
    let folder = daemon.killed();
    let mut files: Vec<Vec<u8>> = vec![log.into_bytes()];
    let data = std::fs::read_dir(folder.path().join("data")).unwrap().flatten();
    files.extend(data.filter(|entry| entry.path().is_file()).map(|entry| std::fs::read(entry.path()).unwrap()));
    assert!(files.iter().any(|file| file.windows(4).any(|four| four == b"desk")), "nothing was stored");
    assert!(!files.iter().any(|file| file.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())));
}

#[tokio::test]
async fn a_server_that_may_not_be_named_is_refused_before_a_byte_is_sent() {
    let service = service().await;
    let server =
        |url: &str| json!({"type": "mcp", "server_label": "desk", "server_url": url, "require_approval": "never"});
    let refused = async |daemon: &Daemon, url: &str| {
        let (status, body) = ask(daemon, &server(url), "say: hi", json!({})).await;
        assert_eq!((status, &body["error"]["param"]), (400, &json!("tools[0].server_url")), "{body}");
        body["error"]["message"].as_str().unwrap().to_owned()
    };
    let expected = "`tools[0].server_url` is at `127.0.0.1`, which this model takes no servers from: that is for the operator \
                    to allow, in the profile's `mcp_requests.allow`.";
    assert_eq!(refused(&daemon("", "127.0.0.1"), &url(&service)).await, expected);
    assert_eq!(
        refused(&daemon("'*.0.0.1'", "127.0.0.1"), "http://10.1/mcp").await,
        expected.replace("127.0.0.1", "10.0.0.1")
    );
    let told = refused(&daemon("'*'", ""), &url(&service)).await;
    assert!(told.starts_with("`tools[0].server_url` may not be called: 127.0.0.1 is "), "{told}");
    let told = refused(&daemon("'*'", ""), &url(&service).replace("127.0.0.1", "localhost")).await;
    assert!(told.starts_with("The MCP server `desk` (`tools[0].server_url`) cannot be used:"), "{told}");
    assert_eq!(service.connections(), 0);
    let told = refused(&daemon("localhost", "127.0.0.1"), "ftp://localhost/mcp").await;
    assert_eq!(told, "`tools[0].server_url` may not be called: `ftp:` is neither http: nor https:.");
    let told = refused(&daemon("'*'", "127.0.0.1"), &format!("http://127.0.0.1:9/mcp?key={SECRET}")).await;
    assert!(told.starts_with("The MCP server `desk` (`tools[0].server_url`) cannot be used:"), "{told}");
    assert!(told.contains("127.0.0.1:9/mcp") && !told.contains(SECRET), "{told}");
}

/// One that had to wait for its turn is there before its servers are.
#[tokio::test]
async fn a_run_that_waits_for_a_server_can_be_cancelled() {
    let deaf = Server::directed(|_, _| vec![Act::Hold]).await;
    let daemon = daemon("127.0.0.1", "127.0.0.1");
    let post = async |path: &str, body: Value| -> Value {
        let sent = client().post(daemon.url(path)).json(&body).timeout(crate::PATIENCE).send().await.unwrap();
        sent.json().await.unwrap()
    };
    let cancel = async |response: &Value| {
        post(&format!("/v1/responses/{}/cancel", response["id"].as_str().unwrap()), json!({})).await["status"].clone()
    };
    let conversation = post("/v1/conversations", json!({})).await["id"].clone();
    let turn = |script: &str, tools: Value| json!({"model": "nuncio", "input": script, "background": true, "conversation": conversation, "tools": tools});
    let first = post("/v1/responses", turn("stall", json!([]))).await;
    let server = json!({"type": "mcp", "server_label": "desk", "server_url": url(&deaf), "require_approval": "never"});
    let second = post("/v1/responses", turn("say: hi", json!([server]))).await;
    assert_eq!((cancel(&first).await, &second["status"]), (json!("cancelled"), &json!("queued")), "{second}");
    deaf.asked(1).await;
    assert_eq!(cancel(&second).await, "cancelled");
}
