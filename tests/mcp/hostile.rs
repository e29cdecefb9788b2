//! A server of tools that behaves as it is told to, mostly badly. It is this test binary, started once more with
//! `MODE` set: what libtest writes to stdout before it is the first garbage that the daemon has to bear.

use serde_json::{Value, json};
use std::io::{BufRead, Write};

/// The configuration of one, as YAML in flow style.
pub fn hostile(mode: &str, more: &str) -> String {
    let binary = std::env::current_exe().unwrap();
    let args = "['--exact', 'hostile::server', '--nocapture', '--ignored']";
    let (program, folder) = (binary.display(), binary.parent().unwrap().display());
    format!("{{command: '{program}', args: {args}, read: ['{folder}'], env: {{MODE: {mode}, {more}}}")
}

#[test]
#[ignore = "it is no test but what the tests start"]
fn server() {
    let Ok(mode) = std::env::var("MODE") else { return };
    println!();
    match &*mode {
        "exits" => {
            eprintln!("no licence found\nI give up");
            std::process::exit(7);
        }
        "hangs" => std::thread::park(),
        // A line that never ends, before a word was said.
        "endless-line" => endless(&[b'x'; 1 << 16]),
        "noise" => endless(b"{\"jsonrpc\": 7}\nnot a word of JSON\n"),
        _ => {}
    }
    let mut server = Server { mode, tools: vec!["echo".to_owned()], waiting: Vec::new() };
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        server.on(&message);
    }
    std::fs::write("ended", "in good order").unwrap();
    std::process::exit(0);
}

fn endless(bytes: &[u8]) {
    while std::io::stdout().write_all(bytes).is_ok() {}
    std::process::exit(1);
}

struct Server {
    mode: String,
    tools: Vec<String>,
    /// Ids of calls that are never answered.
    waiting: Vec<Value>,
}

const TOOLS: [&str; 15] = [
    "ask",
    "asks",
    "chatter",
    "complain",
    "crash",
    "environment",
    "fail",
    "huge",
    "image",
    "learn",
    "long",
    "odd.name",
    "structured",
    "terminal",
    "wait",
];

impl Server {
    fn on(&mut self, message: &Value) {
        let (id, params) = (&message["id"], &message["params"]);
        match message["method"].as_str().unwrap_or_default() {
            "initialize" => {
                let capabilities =
                    json!({"tools": {"listChanged": true}, "resources": {}, "prompts": {}, "logging": {}});
                let version = &params["protocolVersion"];
                let info = json!({"name": "hostile", "version": "1"});
                answer(id, json!({"protocolVersion": version, "capabilities": capabilities, "serverInfo": info}));
            }
            "notifications/cancelled" if self.waiting.contains(&params["requestId"]) => {
                std::fs::write("cancelled", params["reason"].as_str().unwrap_or_default()).unwrap();
            }
            "tools/list" => self.list(id),
            "tools/call" => self.call(id, params),
            "resources/list" => {
                answer(id, json!({"resources": [{"uri": "note://one", "name": "one", "description": "The first"}]}));
            }
            "resources/read" => {
                let text = format!("This is {}.", params["uri"].as_str().unwrap());
                answer(id, json!({"contents": [{"uri": params["uri"], "text": text}]}));
            }
            "prompts/list" => {
                let arguments = json!([{"name": "who", "required": true}]);
                answer(
                    id,
                    json!({"prompts": [{"name": "greet", "description": "A greeting", "arguments": arguments}]}),
                );
            }
            "prompts/get" => {
                let text = format!("Greet {}.", params["arguments"]["who"].as_str().unwrap());
                let content = json!({"type": "text", "text": text});
                answer(id, json!({"messages": [{"role": "user", "content": content}]}));
            }
            "ping" if self.mode != "deaf" => answer(id, json!({})),
            _ => {}
        }
    }

    fn list(&self, id: &Value) {
        let tool = |name: &str| {
            let schema = match name {
                "bad_schema" => json!({"type": "object", "properties": {"x": {"type": "no such type"}}}),
                "echo" => json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}),
                // As some servers write it.
                _ => json!({"type": "object"}),
            };
            json!({"name": name, "description": format!("Tool {name}"), "inputSchema": schema,
                "annotations": {"readOnlyHint": true}})
        };
        match &*self.mode {
            "endless-list" => {
                let number = id.to_string();
                let tools: Vec<Value> = (0..20).map(|at| tool(&format!("t{number}_{at}"))).collect();
                answer(id, json!({"tools": tools, "nextCursor": number}));
            }
            "heavy-list" => {
                let (number, mut tool) = (id.to_string(), tool("echo"));
                tool["description"] = "x".repeat(7 << 20).into();
                answer(id, json!({"tools": [tool], "nextCursor": number}));
            }
            "bad-schema" => answer(id, json!({"tools": [tool("echo"), tool("bad_schema")]})),
            _ => {
                let tools: Vec<Value> = self.tools.iter().map(String::as_str).chain(TOOLS).map(tool).collect();
                answer(id, json!({"tools": tools}));
            }
        }
    }

    fn call(&mut self, id: &Value, params: &Value) {
        let text = |text: &str| json!({"content": [{"type": "text", "text": text}]});
        match params["name"].as_str().unwrap() {
            "echo" => answer(id, text(params["arguments"]["text"].as_str().unwrap())),
            "terminal" => answer(id, text("the other terminal")),
            "odd.name" => answer(id, text("odd")),
            "environment" => {
                let variables: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
                answer(id, text(&variables.join("\n")));
            }
            "structured" => answer(id, json!({"content": [], "structuredContent": {"degrees": 7}})),
            "fail" => {
                let content = json!([{"type": "text", "text": "the disk is full"}]);
                answer(id, json!({"content": content, "isError": true}));
            }
            "complain" => {
                send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "no, not like this"}}))
            }
            "image" => {
                let image = json!({"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"});
                answer(id, json!({"content": [{"type": "text", "text": "look"}, image]}));
            }
            "long" => answer(id, text(&"0123456789".repeat(10_000))),
            "learn" => {
                self.tools.push("learned".to_owned());
                notify("notifications/tools/list_changed", json!({}));
                answer(id, text("done"));
            }
            "learned" => answer(id, text("I can do that now")),
            "wait" => {
                self.waiting.push(id.clone());
                let token = &params["_meta"]["progressToken"];
                notify(
                    "notifications/progress",
                    json!({"progressToken": token, "progress": 1, "total": 3, "message": "on it"}),
                );
            }
            "crash" => std::process::exit(3),
            "huge" => {
                let mut out = std::io::stdout().lock();
                let piece = [b'x'; 1 << 20];
                out.write_all(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"x\":\"").as_bytes()).unwrap();
                (0..100).for_each(|_| out.write_all(&piece).unwrap_or_default());
                out.write_all(b"\"}}\n").unwrap_or_default();
            }
            "chatter" => {
                for number in 0..20_000 {
                    notify("notifications/message", json!({"level": "info", "data": format!("line {number}")}));
                    notify("notifications/tools/list_changed", json!({}));
                }
                answer(id, text("that was all"));
            }
            // A question of its own before the answer, and then too many of them.
            "ask" => {
                send(
                    &json!({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}),
                );
                answer(id, text("asked"));
            }
            "asks" => {
                let mut number = 0_u64;
                while number < 1_000_000 {
                    send(&json!({"jsonrpc": "2.0", "id": format!("q{number}"), "method": "ping"}));
                    number += 1;
                }
            }
            other => panic!("no tool {other}"),
        }
    }
}

fn answer(id: &Value, result: Value) {
    send(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
}

fn notify(method: &str, params: Value) {
    send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
}

/// Ends when nobody reads any more, as a program does that a signal tells so.
fn send(message: &Value) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{message}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}
