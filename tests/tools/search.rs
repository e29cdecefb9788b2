use crate::{Desk, settings};
use nuncio::tools::ToolSettings;
use serde_json::json;

#[tokio::test]
async fn matches_come_by_file_with_their_lines() {
    let desk = Desk::new();
    desk.put("a.txt", "one\ntwo\nthree\nfour\nfive\nsix\nseven\r\n");
    desk.put("src/b.rs", "Two\n");
    desk.put(".hidden", "two");
    desk.put(".git/config", "two");
    desk.put(".gitignore", "/target\n*.log\n!keep.log\n");
    desk.put("src/.gitignore", "gen.*\n!nested.log\n");
    for ignored in ["target/x", "x.log", "src/x.log", "src/gen.rs"] {
        desk.put(ignored, "two");
    }
    for kept in ["gen.rs", "keep.log", "src/nested.log", "web/gen.ts"] {
        desk.put(kept, "two");
    }
    let cases = [
        (
            json!({"pattern": "two"}),
            ".hidden\n1: two\n\na.txt\n2: two\n\ngen.rs\n1: two\n\nkeep.log\n1: two\n\nsrc/nested.log\n1: \
             two\n\nweb/gen.ts\n1: two\n\n[6 matches in 6 files]",
        ),
        (
            json!({"pattern": "TWO", "ignore_case": true, "path": "src", "glob": "*.rs"}),
            "src/b.rs\n1: Two\n\n[1 match in 1 file]",
        ),
        (
            json!({"pattern": "two", "path": "src", "include_ignored": true}),
            "src/gen.rs\n1: two\n\nsrc/nested.log\n1: two\n\nsrc/x.log\n1: two\n\n[3 matches in 3 files]",
        ),
        (json!({"pattern": "two", "path": "target"}), "target/x\n1: two\n\n[1 match in 1 file]"),
        (json!({"pattern": "^t.*e$", "glob": "*.txt"}), "a.txt\n3: three\n\n[1 match in 1 file]"),
        (json!({"pattern": "seven$", "path": "a.txt"}), "a.txt\n7: seven\n\n[1 match in 1 file]"),
        (
            json!({"pattern": "o[nu]|six", "path": "a.txt", "context": 1}),
            "a.txt\n1: one\n2- two\n3- three\n4: four\n5- five\n6: six\n7- seven\n\n[3 matches in 1 file]",
        ),
        (
            json!({"pattern": "one|six", "path": "a.txt", "context": 1}),
            "a.txt\n1: one\n2- two\n--\n5- five\n6: six\n7- seven\n\n[2 matches in 1 file]",
        ),
        (json!({"pattern": "absent"}), "[no matches]"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(desk.ok("search_files", arguments.clone()).await, expected, "{arguments}");
    }
}

#[tokio::test]
async fn binary_files_are_passed_over_and_said() {
    let desk = Desk::new();
    desk.put("early", b"two\0\n");
    desk.put("late", format!("two\n{}\0", "x\n".repeat(200_000)));
    desk.put("latin1", b"two caf\xe9\n");
    assert_eq!(
        desk.ok("search_files", json!({"pattern": "two"})).await,
        "latin1\n1: two caf\u{FFFD}\n\n[1 match in 1 file; 2 files not searched: binary, unreadable or with a line over 8 MiB]"
    );
    let missing = desk.told("search_files", json!({"pattern": "two", "path": "missing"})).await;
    assert_eq!(missing, "`missing` does not exist. list_files shows what there is.");
}

#[tokio::test]
async fn a_search_keeps_to_its_limits() {
    let desk = Desk::with(ToolSettings { max_matches: 3, ..settings() });
    desk.put("a", "x\nx\n");
    desk.put("b", "x\ny\ny\nx\nz\n");
    let narrow = "a narrower pattern, path or glob shows others";
    assert_eq!(
        desk.ok("search_files", json!({"pattern": "x", "context": 1})).await,
        format!("a\n1: x\n2: x\n\nb\n1: x\n2- y\n\n[the first 3 matches; {narrow}]")
    );
    assert_eq!(
        desk.ok("search_files", json!({"pattern": "[xy]", "path": "b"})).await,
        format!("b\n1: x\n2: y\n3: y\n\n[the first 3 matches; {narrow}]")
    );
    // Exactly as many as are allowed are all there are.
    assert_eq!(
        desk.ok("search_files", json!({"pattern": "^[xz]", "path": "b"})).await,
        "b\n1: x\n4: x\n5: z\n\n[3 matches in 1 file]"
    );

    let desk = Desk::with(ToolSettings { output_limit: 30, ..settings() });
    desk.put("a", "123456789\n".repeat(9));
    assert_eq!(
        desk.ok("search_files", json!({"pattern": "9"})).await,
        format!("a\n1: 123456789\n2: 123456789\n\n[the first 2 matches; {narrow}]")
    );
}

#[tokio::test]
async fn of_a_long_line_the_match_is_shown() {
    let desk = Desk::new();
    let far = format!("{}needle{}", "ö".repeat(1000), "ü".repeat(1000));
    desk.put("min.js", &far);
    assert_eq!(
        desk.ok("search_files", json!({"pattern": "needle"})).await,
        format!("min.js\n1: …{}needle{}…\n\n[1 match in 1 file]", "ö".repeat(50), "ü".repeat(147))
    );
}

#[tokio::test]
async fn a_pattern_that_cannot_be_used_is_told() {
    let desk = Desk::new();
    assert_eq!(
        desk.told("search_files", json!({"pattern": "foo("})).await,
        "pattern is not a usable regular expression: regex parse error:\n    (?:foo()\n    ^\nerror: unclosed group"
    );
    let across = desk.told("search_files", json!({"pattern": "a\nb"})).await;
    assert!(across.starts_with("pattern is not a usable regular expression: "), "{across}");
}
