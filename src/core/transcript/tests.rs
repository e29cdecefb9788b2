use super::*;
use crate::core::item::{Compaction, Status, ToolOutput};

fn said(role: Role, text: &str) -> Arc<Item> {
    Arc::new(Item::Message(Message::of(role, text)))
}

fn call(call_id: &str, origin: Origin) -> Arc<Item> {
    Arc::new(Item::ToolCall(ToolCall {
        id: String::new(),
        call_id: call_id.into(),
        name: "look".into(),
        arguments: "{}".into(),
        origin,
        home: None,
        status: Status::Completed,
        extra: Default::default(),
    }))
}

fn output(call_id: &str) -> Arc<Item> {
    let (id, call_id) = (String::new(), call_id.into());
    Arc::new(Item::ToolOutput(ToolOutput {
        id,
        call_id,
        content: vec![Part::text("out")],
        failed: false,
        extra: Default::default(),
    }))
}

/// The trace of a conversation as a client sends it, or as this run leaves it.
fn traced(items: &[Arc<Item>], counts: impl Fn(&ToolCall) -> bool) -> Option<String> {
    let mut text = String::new();
    trace(items, counts, |piece| text.push_str(piece)).then_some(text)
}

#[test]
fn a_conversation_is_known_again_in_whatever_form_it_comes_back() {
    let question = [said(Role::System, "be nice"), said(Role::User, " hi  there ")];
    assert_eq!(traced(&question, |_| true), None);
    let made = [said(Role::Assistant, "A"), call("s1", Origin::Server), output("s1"), said(Role::Assistant, "B")];
    let left = [question.as_slice(), &made].concat();
    let of_client = |call: &ToolCall| call.origin == Origin::Client;

    let next = said(Role::User, "more");
    let as_text = [question.as_slice(), &[said(Role::Assistant, "A\n\nB"), next.clone()]].concat();
    assert_eq!(traced(&as_text, of_client), traced(&left, of_client));
    assert_eq!(traced(&as_text, of_client).unwrap(), "\nsystem benice\nuser hithere\nassistant AB");

    let cards =
        [said(Role::Assistant, "A"), call("s1", Origin::Client), output("s1"), said(Role::Assistant, "B"), next];
    assert_eq!(traced(&[question.as_slice(), &cards].concat(), of_client), traced(&left, |_| true));

    let somebody_else = [question.as_slice(), &[said(Role::Assistant, "C")]].concat();
    assert_ne!(traced(&somebody_else, of_client), traced(&left, of_client));
}

#[test]
fn a_compaction_is_known_again_whatever_comes_before_it() {
    let compaction = |id: &str| Arc::new(Item::Compaction(Compaction { id: id.into(), ..Compaction::default() }));
    let before = [said(Role::System, "be nice"), said(Role::User, "hi"), said(Role::Assistant, "A")];
    let since = |id: &str| vec![compaction(id), said(Role::Assistant, "B"), said(Role::User, "more")];
    let whole = [before.as_slice(), &since("cmp_1")].concat();
    assert_eq!(traced(&whole, |_| true).unwrap(), "\ncompaction cmp_1\nassistant B");
    assert_eq!(traced(&since("cmp_1"), |_| true), traced(&whole, |_| true));
    assert_eq!(traced(&[compaction("cmp_1")], |_| true).unwrap(), "\ncompaction cmp_1");
}

/// A turn that ran a tool here before it asked the client for one.
fn turn() -> Turn {
    Arc::from([said(Role::Assistant, "Wait."), call("s1", Origin::Server), call("c1", Origin::Client), output("s1")])
}

fn restored(sent: Vec<Arc<Item>>) -> Vec<Arc<Item>> {
    restore_turns(sent, |id| (id == "c1").then(turn))
}

#[test]
fn a_turn_gets_back_what_the_client_never_saw() {
    let sent = vec![said(Role::User, "go"), said(Role::Assistant, "Wait."), call("c1", Origin::Client), output("c1")];
    let whole = [[said(Role::User, "go")].as_slice(), &turn(), &[output("c1")]].concat();
    assert_eq!(restored(sent), whole);
}

#[test]
fn a_turn_that_the_client_changed_or_knows_whole_stays_as_sent() {
    let changed = vec![said(Role::Assistant, "Now!"), call("c1", Origin::Client), output("c1")];
    let knows_all = vec![
        said(Role::Assistant, "Wait."),
        call("s1", Origin::Client),
        output("s1"),
        call("c1", Origin::Client),
        output("c1"),
    ];
    for sent in [changed, knows_all] {
        assert_eq!(restored(sent.clone()), sent);
    }
}

#[test]
fn texts_of_several_items_are_kept_apart_unless_they_are_already() {
    let text = |pieces: &[&str]| chat_text(&pieces.iter().map(|text| said(Role::Assistant, text)).collect::<Vec<_>>());
    assert_eq!(text(&["One.", "Two."]), "One.\n\nTwo.");
    assert_eq!(text(&["One.\n", "Two."]), "One.\nTwo.");
    assert_eq!(text(&["One.", " Two."]), "One. Two.");
    assert_eq!(text(&["", "Two.", ""]), "Two.");
}

#[test]
fn words_are_those_of_unicode_however_plain_the_text() {
    for text in ["", " a  b\r\n\tc\u{c} ", "a\u{b}b", "a\u{a0}b\u{2003}c", "\u{1c}a\u{1f} b", "ä\u{85}b"] {
        assert_eq!(words(text).collect::<Vec<_>>(), text.split_whitespace().collect::<Vec<_>>(), "{text:?}");
    }
}
