use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn told<T: fmt::Debug>(result: Result<T, ToolError>) -> String {
    match result {
        Err(ToolError::TellModel(text)) => text,
        other => panic!("not told: {other:?}"),
    }
}

/// A workspace with `folder/file`, and an outside with a `file` as well.
fn workspace() -> (TempDir, Workspace) {
    let temp = tempfile::tempdir().unwrap();
    for folder in ["outside", "workspace/folder"] {
        fs::create_dir_all(temp.path().join(folder)).unwrap();
        fs::write(temp.path().join(folder).join("file"), folder).unwrap();
    }
    let root = temp.path().canonicalize().unwrap().join("workspace");
    (temp, Workspace::open(root.into()).unwrap())
}

/// What a command in the same workspace could do between the two steps of a resolution.
#[test]
fn a_place_that_becomes_a_way_out_is_an_error() {
    let (temp, workspace) = workspace();
    let file = workspace.locate("folder/file").unwrap();
    let new = workspace.locate("folder/deep/new").unwrap();
    let folder = workspace.locate("folder").unwrap();
    fs::rename(workspace.root.join("folder"), workspace.root.join("moved")).unwrap();
    symlink(temp.path().join("outside"), workspace.root.join("folder")).unwrap();

    let reached = "cannot be reached: a part of it is a file, not a folder.";
    assert_eq!(told(workspace.open_file(&file)), format!("`folder/file` {reached}"));
    assert_eq!(told(workspace.replace(&file, b"x")), format!("`folder/file` {reached}"));
    assert_eq!(told(workspace.replace(&new, b"x")), format!("`folder/deep/new` {reached}"));
    assert!(workspace.open_folder(&folder).is_err() && !workspace.is_folder(&folder));

    fs::remove_file(workspace.root.join("folder")).unwrap();
    symlink(temp.path().join("outside/file"), workspace.root.join("folder")).unwrap();
    assert_eq!(told(workspace.open_file(&folder)), "`folder` goes through too many symlinks.");
    assert_eq!(told(workspace.replace(&folder, b"x")), "`folder` has just become a symlink. Try again.");
    assert_eq!(fs::read_to_string(temp.path().join("outside/file")).unwrap(), "outside");
}

#[test]
fn a_call_stays_in_the_folder_it_began_in() {
    let (temp, workspace) = workspace();
    let file = workspace.locate("folder/file").unwrap();
    fs::rename(&workspace.root, temp.path().join("renamed")).unwrap();
    fs::create_dir_all(workspace.root.join("folder")).unwrap();
    assert_eq!(workspace.replace(&file, b"new").unwrap(), Some(16));
    assert_eq!(fs::read_to_string(temp.path().join("renamed/folder/file")).unwrap(), "new");
}
