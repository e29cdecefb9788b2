use crate::{Desk, names, settings};
use futures_util::future::join_all;
use nuncio::tools::ToolSettings;
use serde_json::json;

const CODE: &str = "fn one() {\n    go(1);\n}\n\nfn two() {\n    go(2);\n}\n";

#[tokio::test]
async fn an_exact_text_is_replaced() {
    // content, old, new, replace_all, answer, content after
    let cases = [
        (
            CODE,
            "go(2);",
            "stop();",
            None,
            "Replaced 1 occurrence in `file`, at line 6.",
            CODE.replace("go(2);", "stop();"),
        ),
        (
            CODE,
            "go(",
            "run(",
            Some(true),
            "Replaced 2 occurrences in `file`, at lines 2, 6.",
            CODE.replace("go(", "run("),
        ),
        ("aaa", "a", "", Some(true), "Replaced 3 occurrences in `file`, at line 1.", String::new()),
        ("zwölf", "ö", "oe", None, "Replaced 1 occurrence in `file`, at line 1.", "zwoelf".into()),
        // Carriage returns, which read_file does not show, are kept and added where every line has one,
        (
            "a\r\nb\r\nc\r\n",
            "a\nb",
            "x\ny\nz",
            None,
            "Replaced 1 occurrence in `file`, at line 1.",
            "x\r\ny\r\nz\r\nc\r\n".into(),
        ),
        ("a\r\nb\r\n", "b", "b\r\nc", None, "Replaced 1 occurrence in `file`, at line 2.", "a\r\nb\r\nc\r\n".into()),
        // and nowhere else.
        ("a\r\nb\nc\n", "b\n", "x\n", None, "Replaced 1 occurrence in `file`, at line 2.", "a\r\nx\nc\n".into()),
    ];
    for (content, old, new, all, answer, after) in cases {
        let desk = Desk::new();
        desk.put("file", content);
        let arguments = json!({"path": "file", "old_string": old, "new_string": new, "replace_all": all});
        assert_eq!(desk.ok("edit_file", arguments).await, answer);
        assert_eq!(desk.content("file"), after);
    }
}

#[tokio::test]
async fn what_is_not_clear_is_refused_with_a_way_out() {
    let hay = "x = 1\n".repeat(12);
    let cases = [
        (CODE, "", "x", "old_string is empty. To make a file or replace all of it, use write_file."),
        (CODE, "go(1)", "go(1)", "old_string and new_string are the same, so there is nothing to change."),
        ("a\r\nb\r\n", "a\nb", "a\r\nb", "old_string and new_string are the same, so there is nothing to change."),
        (
            CODE,
            "go(",
            "x",
            "old_string occurs 2 times in `file`, at lines 2, 6. Take in more of the lines around the one you mean, or \
             set replace_all.",
        ),
        (
            &hay,
            "x = 1",
            "x",
            "old_string occurs 12 times in `file`, at lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and more. Take in more of the \
             lines around the one you mean, or set replace_all.",
        ),
        (
            "aaa",
            "aa",
            "b",
            "old_string occurs 2 times in `file`, at line 1. Take in more of the lines around the one you mean, or set \
             replace_all.",
        ),
        (CODE, "nothing like it", "x", "old_string is not in `file`. Read the file again: it may have changed."),
        (CODE, "\n\n\n", "x", "old_string is not in `file`. Read the file again: it may have changed."),
        (
            CODE,
            "5\tfn two() {\n6\t    go(2);",
            "x",
            "old_string is not in `file`. It begins with the line numbers that read_file shows: leave them and their \
             tabs out.",
        ),
        (
            CODE,
            "fn two() {\n\tgo(2);\n}\n",
            "x",
            "old_string is not in `file`. But this is, which differs in whitespace only:\nfn two() {\n    \
             go(2);\n}",
        ),
        (
            CODE,
            "two()  {\n  go(",
            "x",
            "old_string is not in `file`. But this is, which differs in whitespace only:\nfn two() {\n    go(2);",
        ),
        (
            CODE,
            "go(3);",
            "go(2);",
            "old_string is not in `file`. But new_string is: the edit may have been made already.",
        ),
        (
            CODE,
            "fn two() {\n    go(3);",
            "x",
            "old_string is not in `file`. One line of it is, but what is around it differs:\nfn two() {\n    \
             go(2);",
        ),
    ];
    for (content, old, new, answer) in cases {
        let desk = Desk::new();
        desk.put("file", content);
        let arguments = json!({"path": "file", "old_string": old, "new_string": new});
        assert_eq!(desk.told("edit_file", arguments).await, answer, "{old:?}");
        assert_eq!(desk.content("file"), content);
        assert_eq!(names(&desk.workspace), ["file"]);
    }
}

#[tokio::test]
async fn an_edit_can_neither_damage_a_file_nor_blow_it_up() {
    let desk = Desk::with(ToolSettings { read_limit: 1000, ..settings() });
    desk.put("latin1", b"caf\xe9 au lait");
    desk.put("small", "a".repeat(900));
    desk.put("large", "a".repeat(1001));
    let edit = |path: &str, new: &str| json!({"path": path, "old_string": "a", "new_string": new, "replace_all": true});
    assert_eq!(
        desk.told("edit_file", edit("latin1", "b")).await,
        "`latin1` is not UTF-8 text, so an edit could damage it. Use a command that knows its encoding."
    );
    assert_eq!(
        desk.told("edit_file", edit("large", "b")).await,
        "`large` has 1,001 bytes, and at most 1,000 can be edited. Use a command."
    );
    assert_eq!(
        desk.told("edit_file", edit("small", &"b".repeat(1_000_000))).await,
        "The file would have more than 1,000 bytes, the most that can be edited."
    );
    assert_eq!(
        desk.told("edit_file", edit("missing", "b")).await,
        "`missing` does not exist. list_files shows what there is."
    );
}

/// Calls of one step run in parallel; none may undo another.
#[tokio::test]
async fn parallel_edits_of_a_file_all_happen() {
    let desk = Desk::new();
    let line = |n: usize, word: &str| format!("{word} {n:02};\n");
    desk.put("file", (0..40).map(|n| line(n, "old")).collect::<String>());
    let edits = (0..40).map(|n| {
        desk.ok("edit_file", json!({"path": "file", "old_string": line(n, "old"), "new_string": line(n, "new")}))
    });
    join_all(edits).await;
    assert_eq!(desk.content("file"), (0..40).map(|n| line(n, "new")).collect::<String>());
}
