//! What is kept, what is given up for it, and what stays together.

use super::*;
use crate::core::item::{Item, Message, Role};
use proptest::prelude::*;

fn said(text: &str) -> Arc<[Arc<Item>]> {
    Arc::from([Arc::new(Item::Message(Message::of(Role::User, text)))])
}

fn response(id: &str, previous: Option<&str>, conversation: Option<&str>) -> StoredResponse {
    let (previous, conversation) = (previous.map(str::to_owned), conversation.map(str::to_owned));
    let (input, output, journal) = (said(id), [].into(), Arc::default());
    StoredResponse {
        id: id.into(),
        previous,
        conversation,
        instructions: None,
        input,
        output,
        head: String::new(),
        journal,
        ended_at: None,
    }
}

fn added(id: &str, conversation: &str) -> AddedItems {
    AddedItems { id: id.into(), previous: None, conversation: conversation.into(), items: said(id) }
}

fn begin(archive: &mut Archive, id: &str, name: Option<&str>) {
    let name = name.map(str::to_owned);
    archive.begin_conversation(Conversation { id: id.into(), name, ..Conversation::default() });
}

/// The ids of a chain, with a `-` for what is gone.
fn ids(chain: Option<Chain>) -> String {
    let word = |link: &Link| if matches!(link, Link::Gone { .. }) { "-".to_owned() } else { link.id().to_owned() };
    chain.map_or_else(|| "none".into(), |chain| chain.iter().map(word).collect::<Vec<_>>().join(" "))
}

/// The ids of a conversation.
fn told(archive: &mut Archive, id: &str) -> String {
    let Some(conversation) = archive.conversation(id) else { return "none".into() };
    conversation.head.as_ref().map_or_else(String::new, |head| ids(archive.chain(head)))
}

#[test]
fn a_conversation_is_what_was_appended_to_it_and_a_chain_may_leave_it_anywhere() {
    let mut archive = Archive::default();
    begin(&mut archive, "c", Some("work"));
    assert!(archive.add_items(added("i", "c")) && !archive.add_items(added("i", "other")));
    // What it says itself of what it goes on from does not count, or two turns could lose each other.
    archive.keep_response(response("a", Some("elsewhere"), Some("c")));
    archive.keep_response(response("b", None, Some("c")));
    archive.keep_response(response("fork", Some("a"), None));
    assert_eq!([told(&mut archive, "c"), ids(archive.chain("fork"))], ["i a b", "i a fork"]);
    let fork = archive.response("fork").unwrap();
    assert_eq!((fork.conversation.as_deref(), archive.response("i")), (None, None));
    // A second one of that name is the first one.
    let again = Conversation { id: "d".into(), name: Some("work".into()), ..Conversation::default() };
    assert_eq!((archive.begin_conversation(again).id.as_str(), archive.conversation("d")), ("c", None));
    assert!(archive.delete_conversation("c") && !archive.delete_conversation("c"));
    // The items stay for the responses that go on from them, and go with the last of those.
    archive.keep_response(response("late", Some("b"), Some("c")));
    assert_eq!([ids(archive.chain("late")), ids(archive.chain("i"))], ["i a b late", "i"]);
    for id in ["late", "b", "fork", "a"] {
        assert!(archive.delete_response(id), "{id}");
    }
    assert_eq!((archive.links.len(), archive.links.bytes()), (0, 0));
}

#[test]
fn what_is_deleted_leaves_a_gap_as_long_as_something_stands_on_it() {
    let mut archive = Archive::default();
    begin(&mut archive, "c", None);
    for id in ["a", "b", "c", "d"] {
        archive.keep_response(response(id, None, Some("c")));
    }
    let mut delete = |id: &str| (archive.delete_response(id), told(&mut archive, "c"), archive.links.len());
    assert_eq!(delete("b"), (true, "a - c d".into(), 4));
    assert_eq!(delete("b"), (false, "a - c d".into(), 4));
    assert_eq!(delete("c"), (true, "a - d".into(), 3), "two gaps are one");
    assert_eq!(delete("d"), (true, "a -".into(), 2), "the end of a conversation");
    archive.keep_response(response("e", None, Some("c")));
    assert_eq!((told(&mut archive, "c"), archive.response("c")), ("a - e".into(), None));
    assert!(archive.delete_conversation("c") && archive.delete_response("e"));
    assert_eq!((ids(archive.chain("a")), archive.links.len()), ("a".into(), 1));
}

#[test]
fn the_ends_of_chains_go_first_and_named_conversations_last() {
    let weight = {
        let mut one = Archive::default();
        one.keep_response(response("n1", None, None));
        one.links.bytes()
    };
    for mut archive in [Archive::bounded(6, usize::MAX), Archive::bounded(100, weight * 6)] {
        begin(&mut archive, "n", Some("named"));
        begin(&mut archive, "u", None);
        for (id, previous, conversation) in [
            ("n1", None, Some("n")),
            ("u1", None, Some("u")),
            ("x1", None, None),
            ("x2", Some("x1"), None),
            ("n2", None, Some("n")),
            ("n3", None, Some("n")),
        ] {
            archive.keep_response(response(id, previous, conversation));
        }
        // First the unnamed conversation, with its name and all; then the chain, from its end.
        let mut more = |id: &str| {
            archive.keep_response(response(id, None, Some("n")));
            ["u", "n"]
                .map(|id| told(&mut archive, id))
                .into_iter()
                .chain([ids(archive.chain("x1"))])
                .collect::<Vec<_>>()
        };
        assert_eq!(more("n4"), ["none", "n1 n2 n3 n4", "x1"]);
        assert_eq!(more("n5"), ["none", "n1 n2 n3 n4 n5", "x1"]);
        assert_eq!(more("n6"), ["none", "n1 n2 n3 n4 n5 n6", "none"]);
        // Alone, it goes on, and forgets how it began.
        for id in ["n7", "n8", "n9"] {
            archive.keep_response(response(id, None, Some("n")));
        }
        assert_eq!(told(&mut archive, "n"), "- n5 n6 n7 n8 n9");
        assert!(archive.links.len() == 6 && archive.links.bytes() <= weight * 6);
    }
}

#[test]
fn gaps_are_one_gap_whichever_is_deleted_first() {
    let mut archive = Archive::bounded(9, usize::MAX);
    begin(&mut archive, "c", None);
    let ids = ["1", "2", "3", "4"];
    ids.iter().for_each(|id| archive.keep_response(response(id, None, Some("c"))));
    assert!(["3", "2"].iter().all(|id| archive.delete_response(id)));
    assert_eq!((self::ids(archive.chain("4")), archive.links.len()), ("1 - 4".into(), 3));
}

#[test]
fn where_every_link_is_the_end_of_a_named_conversation_the_oldest_conversation_goes() {
    let mut archive = Archive::bounded(2, usize::MAX);
    for id in ["a", "b", "c"] {
        begin(&mut archive, id, Some(id));
        archive.keep_response(response(&format!("r{id}"), None, Some(id)));
    }
    assert_eq!(["a", "b", "c"].map(|id| told(&mut archive, id)), ["none", "rb", "rc"]);
    // The same where all that is left of one is a gap.
    assert!(archive.delete_response("rb") && archive.response("rc").is_some());
    begin(&mut archive, "d", Some("d"));
    archive.keep_response(response("rd", None, Some("d")));
    assert_eq!((told(&mut archive, "b"), archive.links.len()), ("none".into(), 2));
}

#[test]
fn a_chain_that_is_longer_than_what_can_be_kept_keeps_its_end() {
    let mut archive = Archive::bounded(3, usize::MAX);
    archive.keep_response(response("0", None, None));
    for number in 1..9 {
        archive.keep_response(response(&number.to_string(), Some(&(number - 1).to_string()), None));
    }
    assert_eq!((ids(archive.chain("8")), archive.links.len()), ("- 7 8".into(), 3));
}

#[derive(Clone, Debug)]
enum Act {
    Begin(usize, bool),
    Say(usize),
    Add(usize),
    /// Goes on from any response, the first of them being the last that was made.
    Branch(usize),
    Forget(usize),
    End(usize),
    Read(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..4usize, any::<bool>()).prop_map(|(which, named)| Act::Begin(which, named)),
        6 => (0..4usize).prop_map(Act::Say),
        2 => (0..4usize).prop_map(Act::Add),
        2 => (0..9usize).prop_map(Act::Branch),
        3 => (0..9usize).prop_map(Act::Forget),
        1 => (0..4usize).prop_map(Act::End),
        1 => (0..9usize).prop_map(Act::Read),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_goes_what_is_there_has_all_that_it_stands_on(acts in prop::collection::vec(act(), 0..60), max in 1..12usize) {
        let mut archive = Archive::bounded(max, usize::MAX);
        let mut made: Vec<String> = Vec::new();
        for (number, act) in acts.into_iter().enumerate() {
            let id = number.to_string();
            let nth = |back: usize| made.iter().rev().nth(back).cloned().unwrap_or_default();
            let conversation = |which: usize| format!("c{which}");
            match act {
                Act::Begin(which, named) => {
                    let id = conversation(which);
                    if archive.conversation(&id).is_none() {
                        begin(&mut archive, &id, named.then_some(&id));
                    }
                }
                Act::Say(which) => {
                    archive.keep_response(response(&id, None, Some(&conversation(which))));
                    prop_assert!(archive.response(&id).is_some(), "what was just made is there");
                    made.push(id);
                }
                Act::Add(which) => drop(archive.add_items(added(&id, &conversation(which)))),
                Act::Branch(back) => {
                    let from = nth(back);
                    if archive.response(&from).is_some() {
                        archive.keep_response(response(&id, Some(&from), None));
                        made.push(id);
                    }
                }
                Act::Forget(back) => drop(archive.delete_response(&nth(back))),
                Act::End(which) => drop(archive.delete_conversation(&conversation(which))),
                Act::Read(back) => drop(archive.response(&nth(back))),
            }
            archive.links.check();
            // Below what was just made there may be a gap or two.
            prop_assert!(archive.links.len() <= max.max(3), "{} of {max}", archive.links.len());
            for id in made.iter().filter(|id| archive.response(id).is_some()).cloned().collect::<Vec<_>>() {
                prop_assert!(archive.chain(&id).is_some(), "{id} has lost what it stands on");
            }
            for conversation in archive.conversations.list(None, usize::MAX, false) {
                let Some(head) = &conversation.head else { continue };
                prop_assert!(archive.chain(head).is_some() && archive.links.is_head(head), "{conversation:?}");
            }
        }
    }
}
