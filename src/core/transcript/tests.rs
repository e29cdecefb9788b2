use super::*;
use crate::core::item::{Status, ToolOutput};

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
        status: Status::Completed,
        extra: Default::default(),
    }))
}

fn output(call_id: &str) -> Arc<Item> {
    let (id, call_id) = (String::new(), call_id.into());
    Arc::new(Item::ToolOutput(ToolOutput { id, call_id, content: vec![Part::text("out")], failed: false }))
}

fn question() -> Vec<Arc<Item>> {
    vec![said(Role::System, "be nice"), said(Role::User, " hi ")]
}

/// `question`, then the answer, then one more question.
fn returned(answer: &[Arc<Item>]) -> Opening {
    Opening::of(&[question().as_slice(), answer, &[said(Role::User, "more")]].concat())
}

#[test]
fn a_conversation_is_known_again_by_its_first_exchange() {
    assert_eq!(Opening::of(&question()).answer, None);
    let made = [said(Role::Assistant, "A"), call("s1", Origin::Server), output("s1"), said(Role::Assistant, "B")];
    let remembered = Opening::as_returned(&[question().as_slice(), &made].concat());
    // One client sends the text alone, as it was joined for it; another also the cards it was shown.
    let as_text = returned(&[said(Role::Assistant, "A\n\nB")]);
    let with_cards =
        returned(&[said(Role::Assistant, "A"), call("s1", Origin::Client), output("s1"), said(Role::Assistant, "B")]);
    assert_eq!(remembered, [as_text, with_cards]);
    let somebody_else = returned(&[said(Role::Assistant, "C")]);
    assert!(!remembered.contains(&somebody_else));
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
