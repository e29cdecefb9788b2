//! Items of the input: what the model is told of them, and how they are listed.

use super::requests::{answered, called, said, understood};
use super::*;
use crate::core::item::{Item, Message, Origin, Phase, Reasoning, Role, Status, ToolCall, ToolHome};
use crate::core::ports::store::ItemKey;
use crate::core::sealed::Sealed;
use crate::dialect::responses::items::WireItem;
use crate::dialect::responses::list::Page;
use crate::dialect::responses::sealed::seal;

fn ours() -> Sealed {
    let block = json!({"type": "reasoning.encrypted", "data": "AA"}).as_object().cloned().unwrap();
    Sealed { maker: "m".into(), blocks: vec![block] }
}

#[test]
fn every_kind_of_item_is_understood() {
    let image = json!({"type": "input_image", "image_url": "https://x/y.png", "detail": "low"});
    let file = json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:,x", "detail": "high"});
    let error = json!({"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "gone"}]});
    let searched = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "q"}});
    let spec = understood(json!({"model": "m", "instructions": "be", "input": [
        {"role": "developer", "content": "dev"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "see"}, image, file]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "another server's"},
        {"type": "reasoning", "id": "rs_3", "summary": [{"type": "summary_text", "text": "so"}], "content": null, "encrypted_content": seal(&ours())},
        {"type": "reasoning", "id": "rs_4", "summary": [], "encrypted_content": seal(&ours())},
        {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary",
            "content": [{"type": "output_text", "text": "ok", "annotations": [], "logprobs": [{"token": "ok"}]}]},
        {"type": "message", "id": "msg_2", "status": "incomplete", "role": "assistant", "phase": null, "content": "cut"},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "x", "tools": []},
        searched,
        {"type": "mcp_call", "id": "mcp_abc", "server_label": "nuncio", "name": "look", "arguments": "{}", "output": "seen"},
        {"type": "mcp_call", "id": "mcp_def", "server_label": "nuncio", "name": "look", "arguments": "{}", "error": error},
        {"type": "mcp_call", "id": "mcp_cut", "server_label": "nuncio", "name": "look", "arguments": "{"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "out"}, file]},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": "a\"b"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "c3", "status": "completed", "action": {}},
        {"type": "local_shell_call_output", "id": "c3", "output": "{}"},
    ]}));
    let picture = Part::Image { url: "https://x/y.png".into(), detail: Some("low".into()) };
    let paper = || Part::File { name: Some("a.pdf".into()), data: "data:,x".into() };
    let content = vec![Part::text("see"), picture, paper()];
    let with_id = |id: &str, item: Message| Item::Message(Message { id: id.into(), ..item });
    let thought = |id: &str| Reasoning::blank(id.into(), Status::Completed);
    let Item::ToolOutput(output) = answered("c1", "out", false) else { unreachable!() };
    let output = crate::core::item::ToolOutput { content: vec![Part::text("out"), paper()], ..output };
    let Item::ToolCall(patch) = called("ctc_1", "c2", Origin::Client) else { unreachable!() };
    let patch = ToolCall { name: "patch".into(), arguments: r#"{"input":"a\"b"}"#.into(), ..patch };
    let whole = |value: Value| Item::Opaque { value };
    let expected = [
        said(Role::System, "be"),
        said(Role::Developer, "dev"),
        Item::Message(Message { content, ..Message::of(Role::User, "") }),
        Item::Reasoning(Reasoning { text: "hm".into(), ..thought("rs_1") }),
        Item::Reasoning(Reasoning { text: "so".into(), is_summary: true, sealed: Some(ours()), ..thought("rs_3") }),
        Item::Reasoning(Reasoning { sealed: Some(ours()), ..thought("rs_4") }),
        with_id("msg_1", Message { phase: Some(Phase::Commentary), ..Message::of(Role::Assistant, "ok") }),
        with_id("msg_2", Message { status: Status::Incomplete, ..Message::of(Role::Assistant, "cut") }),
        whole(json!({"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "x", "tools": []})),
        whole(searched),
        called("mcp_abc", "abc", Origin::Server),
        answered("abc", "seen", false),
        called("mcp_def", "def", Origin::Server),
        answered("def", "gone", true),
        called("fc_1", "c1", Origin::Client),
        Item::ToolOutput(output),
        Item::ToolCall(patch),
        answered("c2", "done", false),
        whole(json!({"type": "local_shell_call", "id": "lsh_1", "call_id": "c3", "status": "completed", "action": {}})),
        whole(json!({"type": "local_shell_call_output", "id": "c3", "output": "{}"})),
    ];
    assert_eq!(spec.input, expected.map(Arc::new));
}

#[test]
fn references_are_filled_in_where_they_stand_and_what_is_not_found_is_named() {
    let body = json!({"model": "m", "input": [
        {"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "a"}, {"id": "mcp_abc"},
        {"type": null, "id": "mcp_cut"}, {"role": "user", "content": "b"}, {"type": "item_reference", "id": "msg_2"},
    ]});
    let mut asked = request::parse(body).unwrap();
    let (id, call) = (|id: &str| ItemKey::Id(id.into()), |id: &str| ItemKey::Call(id.into()));
    assert_eq!(asked.wanted(), [id("msg_1"), call("abc"), call("cut"), id("msg_2")]);
    let items = |items: Vec<Item>| Some(items.into_iter().map(Arc::new).collect::<Vec<_>>());
    let (one, two) = (said(Role::Assistant, "one"), said(Role::Assistant, "two"));
    let both = vec![called("fc", "abc", Origin::Server), answered("abc", "seen", false)];
    let found = vec![items(vec![one.clone()]), items(both.clone()), items(vec![]), items(vec![two.clone()])];
    let mut lost = asked.clone();
    asked.fill_in(found.clone()).unwrap();
    let expected = [one, said(Role::User, "a")].into_iter().chain(both).chain([said(Role::User, "b"), two]);
    assert_eq!(asked.input, expected.map(Arc::new).collect::<Vec<_>>());
    let error = lost.fill_in(found[..3].to_vec()).unwrap_err();
    assert_eq!((error.status, error.error.param.as_deref(), error.error.code), (404, Some("input"), None));
    assert!(error.error.message.starts_with("Item with id 'msg_2' not found"), "{error:?}");
}

#[test]
fn input_is_listed_in_pages_as_it_was_sent() {
    let sent = json!([
        {"type": "message", "id": "m1", "status": "completed", "role": "user", "content": [
            {"type": "input_text", "text": "hi"}, {"type": "input_file", "filename": "a.pdf", "file_data": "data:,x"}]},
        {"type": "reasoning", "id": "r1", "status": "completed", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "reasoning", "id": "r2", "status": "completed", "summary": [{"type": "summary_text", "text": "so"}],
            "encrypted_content": seal(&ours())},
        {"type": "message", "id": "m2", "status": "incomplete", "role": "assistant", "phase": "final_answer",
            "content": [{"type": "output_text", "text": "ok", "annotations": [], "logprobs": []}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "mcp_call", "id": "mcp_a", "status": "completed", "server_label": "nuncio", "name": "look",
            "arguments": "{}", "approval_request_id": null, "output": "seen", "error": null},
        {"type": "function_call", "id": "f1", "status": "completed", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "id": "o1", "status": "completed", "call_id": "c",
            "output": [{"type": "input_image", "image_url": "data:x", "detail": "auto"}]},
    ]);
    let items = request::parse(json!({"model": "m", "input": sent})).unwrap().input;
    let page = |query: &[(&str, &str)]| {
        serde_json::to_value(Page::parse(query.iter().copied()).unwrap().of(WireItem::of_input(&items)).unwrap())
            .unwrap()
    };
    let list = |data: Value, first: &str, last: &str, more: bool| json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more});
    assert_eq!(page(&[("order", "asc")]), list(sent.clone(), "m1", "o1", false));
    assert_eq!(page(&[("limit", "2")]), list(json!([sent[7], sent[6]]), "o1", "f1", true));
    assert_eq!(page(&[("limit", "2"), ("after", "f1")]), list(json!([sent[5], sent[4]]), "mcp_a", "ws_1", true));
    assert!(Page::parse([("order", "up")].into_iter()).is_err() && Page::parse([("limit", "0")].into_iter()).is_err());
}

#[test]
fn a_call_of_another_servers_tool_is_shown_and_read_by_the_names_that_hold_there() {
    let sent = json!({"type": "mcp_call", "id": "mcp_abc", "status": "completed", "server_label": "files", "name": "read",
        "arguments": "{}", "approval_request_id": null, "output": "seen", "error": null});
    let spec = understood(json!({"model": "m", "input": [sent]}));
    let Item::ToolCall(call) = spec.input[0].as_ref() else { unreachable!() };
    let home = ToolHome { server: "files".into(), tool: "read".into() };
    assert_eq!(call.home.as_deref(), Some(&home));
    let of_model = ToolCall { name: "files__read".into(), ..call.clone() };
    let items = [Arc::new(Item::ToolCall(of_model)), Arc::clone(&spec.input[1])];
    let shown = WireItem::of_input(&items);
    assert_eq!(serde_json::to_value(shown).unwrap(), json!([sent]));
}
