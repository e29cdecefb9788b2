//! Conversations in a short notation: `s` and `d` are system and developer text, `u` the user, `a` the assistant, `t` a
//! thought, `c1` a call and `o1` its output, `k` a compaction.

use super::*;
use crate::core::item::{Origin, Reasoning, Status, ToolCall, ToolOutput, text_of};
use proptest::prelude::*;
use rstest::rstest;
use std::cell::Cell;

fn item(word: &str) -> Item {
    let (id, status, text) = (String::new(), Status::Completed, word.to_owned());
    let call_id = word.get(1..).unwrap_or_default().to_owned();
    match word.chars().next().unwrap() {
        's' => Item::Message(Message::of(Role::System, word)),
        'd' => Item::Message(Message::of(Role::Developer, word)),
        'u' => Item::Message(Message::of(Role::User, word)),
        'a' => Item::Message(Message::of(Role::Assistant, word)),
        't' => Item::Reasoning(Reasoning { text, ..Reasoning::blank(id, status) }),
        'c' => {
            let (name, arguments, origin, extra) = (String::new(), String::new(), Origin::Server, Default::default());
            Item::ToolCall(ToolCall { id, call_id, name, arguments, origin, home: None, status, extra })
        }
        'o' => Item::ToolOutput(ToolOutput { id, call_id, content: vec![], failed: false, extra: Default::default() }),
        _ => Item::Compaction(Compaction { id, summary: text, ..Compaction::default() }),
    }
}

fn items(words: &str) -> Vec<Arc<Item>> {
    words.split_whitespace().map(|word| Arc::new(item(word))).collect()
}

fn words(items: &[Arc<Item>]) -> String {
    let word = |item: &Arc<Item>| match item.as_ref() {
        Item::Message(message) => text_of(&message.content).rsplit("\n\n").next().unwrap_or_default().to_owned(),
        Item::Reasoning(reasoning) => reasoning.text.clone(),
        Item::ToolCall(call) => format!("c{}", call.call_id),
        Item::ToolOutput(output) => format!("o{}", output.call_id),
        other => format!("{other:?}"),
    };
    items.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// What is shown once so many turns are one too many, and whether that is the least.
fn without(turns: usize, conversation: &str) -> (String, bool) {
    let asked = Cell::new(0);
    let shown = View::of(&items(conversation)).fit(|_| asked.replace(asked.get() + 1) == turns);
    (words(&shown.items), shown.is_least)
}

#[rstest]
#[case::nothing_to_leave_out("s u1", 9, "s u1", true)]
#[case::the_oldest_first("s d u1 a1 u2 a2 u3", 1, "s d u2 a2 u3", false)]
#[case::down_to_the_latest("s d u1 a1 u2 a2 u3", 9, "s d u3", true)]
#[case::a_turn_with_all_that_was_done_in_it("u1 t1 c1 c2 o2 o1 a1 c3 o3 a2 u2 c4 o4", 9, "u2 c4 o4", true)]
#[case::what_came_before_the_first_question("a0 u1 a1 u2", 1, "u1 a1 u2", false)]
#[case::questions_in_a_row_are_one("u0 u1 a1 d2 u2 d3 u3 t1", 9, "d2 u2 d3 u3 t1", true)]
#[case::system_text_alone_asks_nothing("u1 a1 d2 a2 u2", 1, "u2", true)]
#[case::no_cut_while_a_call_waits("u1 c1 u2 o1 a1 u3", 1, "u3", true)]
#[case::a_call_that_nobody_answered_waits_for_nothing("u1 c1 u2 a2", 1, "u2 a2", true)]
#[case::a_compaction_stands_for_all_before_it("s u1 a1 k1 a2 u2 a3 k2 a4 u3 a5 u4", 0, "s k2 a4 u3 a5 u4", false)]
#[case::a_compaction_is_never_left_out("s u1 k1 a1 u2 a2 u3", 9, "s k1 u3", true)]
#[case::nothing_after_the_compaction("u1 a1 k1", 9, "k1", true)]
#[case::no_conversation("", 9, "", true)]
fn turns_are_left_out_whole(
    #[case] conversation: &str,
    #[case] turns: usize,
    #[case] shown: &str,
    #[case] is_least: bool,
) {
    assert_eq!(without(turns, conversation), (shown.to_owned(), is_least));
}

/// What a compaction keeps, as it was said.
fn kept(compaction: &Compaction) -> String {
    let [system, question] = [&compaction.system, &compaction.question].map(|messages| {
        words(&messages.iter().map(|message| Arc::new(Item::Message(message.clone()))).collect::<Vec<_>>())
    });
    format!("{system} | {question}")
}

#[rstest]
#[case::in_mid_conversation("s u1 a1 d2 u2", " | d2 u2", "s | d2 u2")]
#[case::in_mid_turn("s u1 a1 u2 c1 o1", " | u2", "s | u2")]
#[case::after_an_answer("s d u1 a1 u2 a2", " | u2", "s d | ")]
#[case::without_a_question("a1", " | ", " | ")]
#[case::after_another("s u1 k1 s2 u2 a2 u3", "s2 | u3", "s s2 | u3")]
fn what_a_compaction_keeps(#[case] conversation: &str, #[case] to_go_on: &str, #[case] alone: &str) {
    let view = View::of(&items(conversation));
    assert_eq!([view.compaction_to_go_on(), view.compaction_alone()].map(|it| kept(&it)), [to_go_on, alone]);
}

#[test]
fn what_is_kept_comes_back_in_its_place() {
    let compaction =
        |compaction: Compaction| Arc::new(Item::Compaction(Compaction { summary: "k".into(), ..compaction }));
    let first = compaction(View::of(&items("s1 u1 a1 d2 u2")).compaction_alone());
    let view = View::of(&[items("s2"), vec![first], items("a2 u3 c1 o1")].concat());
    assert_eq!(words(&view.items()), "s2 s1 k d2 u2 a2 u3 c1 o1");
    assert_eq!(words(&view.told().items()), "k d2 u2 a2 u3 c1 o1");
    let second = compaction(view.compaction_to_go_on());
    assert_eq!(words(&View::of(&[items("s2 u0 a0"), vec![second], items("a3")].concat()).items()), "s2 s1 k u3 a3");
}

#[test]
fn only_what_was_said_since_the_last_compaction_can_be_replaced() {
    let replaceable = |words: &str| View::of(&items(words)).replaceable_tokens();
    assert_eq!(["s u1", "s u1 a1 k1", "", "k1 u1"].map(replaceable), [0; 4]);
    assert_eq!(replaceable("s u1 a1 u2"), View::of(&items("u1 a1")).tokens());
    assert_eq!(replaceable("s u1 c1 o1"), View::of(&items("c1 o1")).tokens());
}

/// Anything in any order, calls without outputs and outputs without calls included.
fn conversation() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        1 => Just("s".to_owned()),
        1 => Just("d".to_owned()),
        4 => (0..99_u32).prop_map(|n| format!("u{n}")),
        4 => (0..99_u32).prop_map(|n| format!("a{n}")),
        1 => Just("t".to_owned()),
        4 => (0..9_u32).prop_map(|n| format!("c{n}")),
        4 => (0..9_u32).prop_map(|n| format!("o{n}")),
        1 => Just("k".to_owned()),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

/// For each output that has a call before it, where that call is.
fn pairs(words: &[&str]) -> Vec<(usize, usize)> {
    let (mut open, mut pairs) = (std::collections::BTreeMap::new(), Vec::new());
    for (at, word) in words.iter().enumerate() {
        match word.split_at(1) {
            ("c", id) => drop(open.insert(id.to_owned(), at)),
            ("o", id) => pairs.extend(open.remove(id).map(|call| (call, at))),
            _ => {}
        }
    }
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_fits_or_is_the_least_and_is_never_torn(conversation in conversation(), room in 0..400_u64) {
        let view = View::of(&items(&conversation));
        let shown = view.fit(|tokens| tokens <= room);
        prop_assert!(shown.tokens <= room || shown.is_least, "{shown:?}");
        prop_assert!(view.tokens() > room || shown.items == view.items(), "left out for no reason: {shown:?}");
        let all = words(&view.items());
        let (all, shown) = (all.split_whitespace().collect::<Vec<_>>(), words(&shown.items));
        let shown: Vec<&str> = shown.split_whitespace().collect();
        // System text and the summary first, then an end of what was said since.
        let lead = all.iter().take_while(|word| word.starts_with(['s', 'd', 'k'])).count();
        prop_assert!(shown.starts_with(&all[..lead]) && all.ends_with(&shown[lead.min(shown.len())..]), "{all:?} {shown:?}");
        let cut = all.len() - shown.len() + lead;
        for (call, output) in pairs(&all) {
            prop_assert!((call < cut) == (output < cut), "{call} and {output} of {all:?} are torn at {cut}");
        }
        let question = all.iter().rposition(|word| word.starts_with('u'));
        prop_assert!(question.is_none_or(|at| at >= cut), "{all:?} without its last question: {shown:?}");
    }
}
