//! `skill`: opens what is in a skill's folder, and nothing else.

use super::Desk;
use nuncio::core::ports::tool::ToolError;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

impl Desk {
    fn shelve(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.shelf.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.shelve("pdf/SKILL.md", "---\nname: pdf\ndescription: Fills forms.\n---\n\n# Forms\nRun scripts/fill.py.\n");
    desk.shelve("pdf/scripts/fill.py", "print('filled')\n");
    desk.shelve("pdf/forms.md", "One.\nTwo.\n");
    desk.shelve("pdf/logo.png", b"\x89PNG\0");
    desk.skills.look();
    desk
}

#[tokio::test]
async fn a_skill_opens_with_its_instructions_and_the_names_of_its_files() {
    let desk = desk();
    let expected = format!(
        "# Forms\nRun scripts/fill.py.\n\nFiles of this skill: forms.md, logo.png, scripts/fill.py.\n\
         [skill pdf, in the folder {}, to which its paths are relative]",
        desk.shelf.join("pdf").display()
    );
    assert_eq!(desk.ok("skill", json!({"name": "pdf"})).await, expected);
    assert_eq!(desk.ok("skill", json!({"name": "pdf", "file": "./scripts/../forms.md"})).await, "One.\nTwo.");
    assert_eq!(desk.told("skill", json!({"name": "doc"})).await, "There is no skill `doc`. There are: pdf.");
}

#[tokio::test]
async fn what_is_long_is_shown_in_pages() {
    let desk = Desk::with(super::ToolSettings { output_limit: 160, ..super::settings() });
    let lines: Vec<String> = (1..=30).map(|number| format!("line {number:02}")).collect();
    desk.shelve("s/SKILL.md", "---\nname: s\ndescription: d\n---\nRead long.txt.");
    desk.shelve("s/long.txt", lines.join("\n"));
    desk.shelve("s/wide.txt", "x".repeat(1000));
    desk.skills.look();
    let page = async |offset: u64| desk.ok("skill", json!({"name": "s", "file": "long.txt", "offset": offset})).await;
    assert_eq!(page(1).await, format!("{}\n[lines 1-20 of 30; offset=21 goes on]", lines[..20].join("\n")));
    assert_eq!(page(29).await, "line 29\nline 30");
    let past = desk.told("skill", json!({"name": "s", "file": "long.txt", "offset": 31})).await;
    assert_eq!(past, "offset 31 is past the end: there are 30 lines.");
    let wide = desk.ok("skill", json!({"name": "s", "file": "wide.txt"})).await;
    assert_eq!(wide, format!("{} [… cut]", "x".repeat(160)));
}

/// Every way out is tried with a path that leads to a file which is there.
#[tokio::test]
async fn nothing_outside_of_the_folder_is_shown() {
    let desk = desk();
    desk.shelve("other/SKILL.md", "---\nname: other\ndescription: d\n---\n");
    fs::write(desk.outside.join("secret"), "secret").unwrap();
    let skill = desk.shelf.join("pdf");
    symlink(desk.outside.join("secret"), skill.join("link")).unwrap();
    symlink(&desk.outside, skill.join("folder")).unwrap();
    symlink("forms.md", skill.join("inside")).unwrap();
    let absolute = desk.outside.join("secret").display().to_string();
    let ask = |file: &str| desk.call("skill", json!({"name": "pdf", "file": file}));
    for file in ["../../outside/secret", "../other/SKILL.md", "link", "folder/secret", &absolute] {
        let expected = format!("`{file}` is outside the skill's folder. Give a path relative to that.");
        assert_eq!(ask(file).await, Err(ToolError::TellModel(expected)));
    }
    assert_eq!(ask("inside").await.unwrap(), "One.\nTwo.", "a symlink that stays inside");
    let told = [
        ("scripts", "`scripts` is a folder, not a file."),
        ("logo.png", "`logo.png` is binary, and only text can be shown."),
        (
            "none",
            "`none` cannot be read: No such file or directory (os error 2). `skill` without `file` lists what there is.",
        ),
    ];
    for (file, expected) in told {
        assert_eq!(ask(file).await, Err(ToolError::TellModel(expected.to_owned())));
    }
    let listed = desk.ok("skill", json!({"name": "pdf"})).await;
    assert!(listed.contains("Files of this skill: forms.md, logo.png, scripts/fill.py."), "no symlinks: {listed}");
}

/// Between the look and the call anything can happen to the folder.
#[tokio::test]
async fn a_folder_that_was_swapped_is_not_followed() {
    let desk = desk();
    fs::write(desk.outside.join("SKILL.md"), "secret").unwrap();
    fs::remove_dir_all(desk.shelf.join("pdf")).unwrap();
    symlink(&desk.outside, desk.shelf.join("pdf")).unwrap();
    let ask: Value = json!({"name": "pdf"});
    assert_eq!(desk.told("skill", ask).await, "The skill's folder cannot be opened: Not a directory (os error 20).");
}
