//! Notes that outlive a session.

use super::clauses;
use crate::Subject;
use futures_util::future::join_all;
use nuncio::core::notes::{Changed, Note, NoteChange, NoteRefusal};
use nuncio::core::ports::notes::Scope;

clauses! {
    a_change_is_seen_by_whoever_asks_next_and_by_nobody_else,
    what_is_refused_leaves_all_as_it_was,
    changes_at_the_same_time_are_all_kept,
    a_number_is_never_given_twice,
}

const SCOPE: Scope = [7; 32];

fn add(text: &str) -> NoteChange {
    NoteChange::Add { text: text.to_owned() }
}

async fn change(store: &impl Subject, change: NoteChange) -> Changed {
    store.change_notes("ann", SCOPE, change, 200).await.unwrap()
}

async fn lines(store: &impl Subject, principal: &str, scope: Scope) -> String {
    store.notebook(principal, scope).await.unwrap().lines(usize::MAX).0
}

async fn a_change_is_seen_by_whoever_asks_next_and_by_nobody_else(store: &impl Subject) {
    for text in ["a", "b", "c"] {
        change(store, add(text)).await.outcome.unwrap();
    }
    let replaced = change(store, NoteChange::Replace { number: 2, text: "z".into() }).await;
    assert_eq!(replaced.outcome, Ok(Note { number: 2, text: "z".into() }));
    let removed = change(store, NoteChange::Remove { number: 1 }).await;
    assert_eq!(removed.notebook, store.notebook("ann", SCOPE).await.unwrap());
    assert_eq!(lines(store, "ann", SCOPE).await, "2 \"z\"\n3 \"c\"\n");
    store.change_notes("bob", SCOPE, add("of bob"), 200).await.unwrap();
    assert_eq!(lines(store, "ann", [8; 32]).await, "");
    assert_eq!(lines(store, "bob", SCOPE).await, "1 \"of bob\"\n");
}

async fn what_is_refused_leaves_all_as_it_was(store: &impl Subject) {
    change(store, add("a")).await;
    let before = store.notebook("ann", SCOPE).await.unwrap();
    let cases = [
        (add(&"x".repeat(200)), NoteRefusal::Full { needed: 211 }),
        (NoteChange::Replace { number: 1, text: "x".repeat(200) }, NoteRefusal::Full { needed: 205 }),
        (NoteChange::Replace { number: 2, text: "x".into() }, NoteRefusal::Unknown),
        (NoteChange::Remove { number: 2 }, NoteRefusal::Unknown),
        (add(" "), NoteRefusal::Empty),
    ];
    for (asked, refusal) in cases {
        let expected = Changed { outcome: Err(refusal), notebook: before.clone() };
        assert_eq!(change(store, asked).await, expected);
    }
    assert_eq!(store.notebook("ann", SCOPE).await.unwrap(), before);
}

async fn changes_at_the_same_time_are_all_kept(store: &impl Subject) {
    let texts: Vec<String> = (10..60).map(|number| number.to_string()).collect();
    let adding = texts.iter().map(|text| store.change_notes("ann", SCOPE, add(text), 10_000));
    join_all(adding).await.into_iter().for_each(|added| drop(added.unwrap().outcome.unwrap()));
    let notebook = store.notebook("ann", SCOPE).await.unwrap();
    let mut kept: Vec<&str> = notebook.notes().iter().map(|note| note.text.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, texts);
    assert!(notebook.notes().iter().map(|note| note.number).eq(1..=50));
}

async fn a_number_is_never_given_twice(store: &impl Subject) {
    change(store, add("a")).await;
    change(store, NoteChange::Remove { number: 1 }).await;
    assert_eq!(change(store, add("b")).await.outcome, Ok(Note { number: 2, text: "b".into() }));
}
