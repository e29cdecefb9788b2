use crate::{Desk, settings};
use nuncio::tools::ToolSettings;
use serde_json::json;
use std::os::unix::fs::symlink;

fn project() -> Desk {
    let desk = Desk::new();
    for path in [".env", ".git/config", "Cargo.toml", "src/main.rs", "src/a/b/c/deep.rs", "src/a/lib.rs", "web/app.ts"]
    {
        desk.put(path, "x".repeat(1234));
    }
    symlink("src", desk.workspace.join("link")).unwrap();
    desk
}

#[tokio::test]
async fn folders_are_listed_as_deep_as_asked() {
    let desk = project();
    let usual = ".env (1,234 bytes)\nCargo.toml (1,234 bytes)\nlink -> src\nsrc/\nsrc/a/\nsrc/a/b/\nsrc/a/lib.rs (1,234 \
                 bytes)\nsrc/main.rs (1,234 bytes)\nweb/\nweb/app.ts (1,234 bytes)\n[10 entries; 1 folder not opened, see depth]";
    let cases = [
        (json!({}), usual),
        (json!({"path": "", "depth": null, "glob": ""}), usual),
        (
            json!({"path": "src/a", "depth": 1}),
            "src/a/b/\nsrc/a/lib.rs (1,234 bytes)\n[2 entries; 1 folder not opened, see depth]",
        ),
        (json!({"path": "link/a/b"}), "src/a/b/c/\nsrc/a/b/c/deep.rs (1,234 bytes)\n[2 entries]"),
        (
            json!({"glob": "*.rs"}),
            "src/a/b/c/deep.rs (1,234 bytes)\nsrc/a/lib.rs (1,234 bytes)\nsrc/main.rs (1,234 bytes)\n[3 entries]",
        ),
        (json!({"glob": "src/*.{rs,ts}"}), "src/main.rs (1,234 bytes)\n[1 entry]"),
        (json!({"path": "src", "glob": "./a/*"}), "src/a/lib.rs (1,234 bytes)\n[1 entry]"),
        (json!({"glob": "**/b/**"}), "src/a/b/c/deep.rs (1,234 bytes)\n[1 entry]"),
        (json!({"glob": "*.py"}), "[no file fits the glob]"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(desk.ok("list_files", arguments.clone()).await, expected, "{arguments}");
    }
    assert_eq!(
        desk.told("list_files", json!({"path": "Cargo.toml"})).await,
        "`Cargo.toml` is a file, not a folder. read_file shows what is in it."
    );
    assert_eq!(
        desk.told("list_files", json!({"path": "no"})).await,
        "`no` does not exist. list_files shows what there is."
    );
    assert_eq!(
        desk.told("list_files", json!({"glob": "{a"})).await,
        "glob cannot be used: error parsing glob '{a': unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)."
    );
}

#[tokio::test]
async fn depth_is_advised_where_it_helps() {
    let desk = Desk::new();
    desk.put(&format!("{}file", "d/".repeat(65)), "");
    for (depth, end) in [
        (63, "[63 entries; 1 folder not opened, see depth]"),
        (64, "[64 entries; 1 folder not opened, unreadable or too deep; try it as path]"),
        (65, "[64 entries; 1 folder not opened, unreadable or too deep; try it as path]"),
    ] {
        let listed = desk.ok("list_files", json!({"depth": depth})).await;
        assert_eq!(listed.lines().last(), Some(end), "{depth}");
    }
    let listed = desk.ok("list_files", json!({"path": "d/".repeat(64)})).await;
    assert_eq!(listed.lines().last(), Some("[2 entries]"));
}

#[tokio::test]
async fn a_full_folder_does_not_hide_its_neighbours() {
    let desk = Desk::new();
    for n in 0..130 {
        desk.put(&format!("modules/{n:03}"), "");
    }
    desk.put("src", "");
    let entry = |n: u64| format!("modules/{n:03} (0 bytes)\n");
    let first: String = (0..100).map(entry).collect();
    let all: String = (0..130).map(entry).collect();
    let listed = desk.ok("list_files", json!({})).await;
    assert_eq!(listed, format!("modules/\n{first}modules/ [30 more]\nsrc (0 bytes)\n[102 entries]"));
    assert_eq!(desk.ok("list_files", json!({"path": "modules"})).await, format!("{all}[130 entries]"));
}

#[tokio::test]
async fn a_list_keeps_to_its_limits() {
    let desk = Desk::with(ToolSettings { output_limit: 40, ..settings() });
    for n in 0..1001 {
        desk.put(&format!("{n:04}"), "");
    }
    assert_eq!(
        desk.ok("list_files", json!({})).await,
        "0000 (0 bytes)\n0001 (0 bytes)\n[the first 2 entries; give a folder as path, or a glob, to see others]"
    );
    let desk = Desk { tools: Desk::new().tools, ..desk };
    let listed = desk.ok("list_files", json!({})).await;
    let all: String = (0..1000).map(|n| format!("{n:04} (0 bytes)\n")).collect();
    assert_eq!(listed, all + "[the first 1,000 entries; give a folder as path, or a glob, to see others]");
}

#[tokio::test]
async fn a_name_keeps_to_its_line() {
    let desk = Desk::new();
    assert_eq!(desk.ok("list_files", json!({})).await, "[empty folder]");
    desk.put("a\nb\u{202e}", "");
    assert_eq!(desk.ok("list_files", json!({})).await, "a\\nb\\u{202e} (0 bytes)\n[1 entry]");
}
