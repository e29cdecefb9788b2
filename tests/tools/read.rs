use crate::{Desk, settings};
use nuncio::tools::ToolSettings;
use serde_json::json;

#[tokio::test]
async fn lines_come_numbered_and_counted() {
    let desk = Desk::new();
    desk.put("notes.txt", "one\n\n  three\nfour\nfive");
    let cases = [
        (json!({"path": "notes.txt"}), "1\tone\n2\t\n3\t  three\n4\tfour\n5\tfive\n[5 lines]"),
        (json!({"path": "./notes.txt", "limit": 2}), "1\tone\n2\t\n[lines 1-2 of 5; offset=3 goes on]"),
        (
            json!({"path": "notes.txt", "offset": 3, "limit": 2}),
            "3\t  three\n4\tfour\n[lines 3-4 of 5; offset=5 goes on]",
        ),
        (json!({"path": "notes.txt", "offset": 5, "limit": null}), "5\tfive\n[lines 5-5 of 5]"),
        (json!({"path": "notes.txt", "offset": 5.0, "limit": 1e0}), "5\tfive\n[lines 5-5 of 5]"),
        (json!({"path": "notes.txt", "limit": 99}), "1\tone\n2\t\n3\t  three\n4\tfour\n5\tfive\n[5 lines]"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(desk.ok("read_file", arguments.clone()).await, expected, "{arguments}");
    }
    assert_eq!(
        desk.told("read_file", json!({"path": "notes.txt", "offset": 6})).await,
        "offset 6 is past the end: `notes.txt` has 5 lines."
    );
}

#[tokio::test]
async fn every_kind_of_text_can_be_read() {
    let desk = Desk::new();
    let long = "ö".repeat(1500); // the cut at 2,000 bytes falls between characters
    let odd = format!("x{long}");
    let cases: [(&[u8], String); 7] = [
        (b"", "[empty file]".into()),
        (b"\n", "1\t\n[1 line]".into()),
        (b"a\r\nb\r\n", "1\ta\n2\tb\n[2 lines]".into()),
        (b"caf\xe9\n", "1\tcaf\u{FFFD}\n[1 line]\n[bytes that are not UTF-8 are shown as \u{FFFD}]".into()),
        (long.as_bytes(), format!("1\t{} [… 1,000 bytes cut]\n[1 line]", "ö".repeat(1000))),
        (odd.as_bytes(), format!("1\tx{} [… 1,002 bytes cut]\n[1 line]", "ö".repeat(999))),
        (&[b'x'; 2000], format!("1\t{}\n[1 line]", "x".repeat(2000))),
    ];
    for (content, expected) in cases {
        desk.put("file", content);
        assert_eq!(desk.ok("read_file", json!({"path": "file"})).await, expected);
    }
}

#[tokio::test]
async fn an_answer_keeps_to_its_limit_and_says_how_to_go_on() {
    let desk = Desk::with(ToolSettings { output_limit: 100, ..settings() });
    desk.put("file", "123456789\n".repeat(100_000));
    let page = |from: u64, to: u64| (from..=to).map(|n| format!("{n}\t123456789\n")).collect::<String>();
    assert_eq!(
        desk.ok("read_file", json!({"path": "file"})).await,
        page(1, 8) + "[lines 1-8 of 100,000; offset=9 goes on]"
    );
    assert_eq!(
        desk.ok("read_file", json!({"path": "file", "offset": 99_995})).await,
        page(99_995, 100_000) + "[lines 99,995-100,000 of 100,000]"
    );
}

#[tokio::test]
async fn what_is_no_text_is_refused() {
    let desk = Desk::new();
    desk.put("image.png", b"\x89PNG\r\n\0\0");
    desk.put("folder/file", "");
    let cases = [
        ("image.png", "`image.png` is binary (8 bytes), and only text can be shown or edited."),
        ("folder", "`folder` is a folder, not a file. list_files shows what is in it."),
        ("missing", "`missing` does not exist. list_files shows what there is."),
        ("folder/file/x", "`folder/file/x` cannot be reached: a part of it is a file, not a folder."),
    ];
    for (path, expected) in cases {
        assert_eq!(desk.told("read_file", json!({"path": path})).await, expected);
    }
}

/// It is never held whole, so there is nothing to protect.
#[tokio::test]
async fn a_file_too_large_to_edit_can_be_read() {
    let desk = Desk::with(ToolSettings { read_limit: 10_000, ..settings() });
    desk.put("large", "a line\n".repeat(10_000));
    let last = desk.ok("read_file", json!({"path": "large", "offset": 10_000})).await;
    assert_eq!(last, "10000\ta line\n[lines 10,000-10,000 of 10,000]");
}

#[tokio::test]
async fn a_far_nul_is_passed_on_as_a_replacement() {
    let desk = Desk::new();
    desk.put("file", format!("{}\0", "a\n".repeat(40_000)));
    assert_eq!(
        desk.ok("read_file", json!({"path": "file", "offset": 40_001})).await,
        "40001\t\u{FFFD}\n[lines 40,001-40,001 of 40,001]"
    );
}
