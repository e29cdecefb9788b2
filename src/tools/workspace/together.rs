//! Writing several files as if they were one: all of them are changed, or none.

use super::replace::{Draft, replaceable};
use super::{Place, Workspace, irregular, tell, trouble};
use crate::core::ports::tool::ToolError;
use crate::tools::text;
use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use uuid::Uuid;

/// What shall become of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub place: Place,
    /// `None` for one that is to be removed.
    pub content: Option<Vec<u8>>,
}

/// A change that can be made in one step, and taken back.
struct Step<'f> {
    folder: &'f OwnedFd,
    file: &'f OsStr,
    place: &'f Place,
    draft: Option<Draft<'f>>,
    is_there: bool,
    /// The name of the old file while the change can be taken back.
    backup: String,
}

impl Workspace {
    /// Everything that can be known to fail, a full disk among it, fails before the first file is changed. What fails
    /// later is taken back. Others may see some files changed and others not yet; each of them is old or new.
    pub fn replace_together(&self, changes: &[Change]) -> Result<(), ToolError> {
        let mut folders = Vec::with_capacity(changes.len());
        for Change { place, content } in changes {
            let Some((folder, file)) = place.split() else { return Err(irregular(place, FileType::Directory)) };
            let opened = if content.is_some() { self.make_folders(folder) } else { self.folder(folder) };
            folders.push((opened.map_err(|error| trouble(&place.to_string(), error))?, file));
        }
        let mut steps = Vec::with_capacity(changes.len());
        for (change, (folder, file)) in changes.iter().zip(&folders) {
            steps.push(self.prepare(change, folder, file)?);
        }
        let mut made: Vec<&Step<'_>> = Vec::with_capacity(steps.len());
        let drafts: Vec<Option<Draft<'_>>> = steps.iter_mut().map(|step| step.draft.take()).collect();
        for (step, draft) in steps.iter().zip(drafts) {
            if let Err(error) = step.make(draft) {
                step.restore();
                let left: Vec<String> =
                    made.iter().rev().filter(|step| !step.take_back()).map(|step| step.name()).collect();
                return Err(failed(step, &error, &left));
            }
            made.push(step);
        }
        steps.iter().for_each(Step::forget);
        Ok(())
    }

    fn prepare<'f>(&self, change: &'f Change, folder: &'f OwnedFd, file: &'f OsStr) -> Result<Step<'f>, ToolError> {
        let place = &change.place;
        let name = place.to_string();
        let old = replaceable(folder, file, place).map_err(|error| trouble(&name, error))??;
        let draft = match &change.content {
            Some(content) => {
                Some(self.draft(folder, content, old.as_ref(), &name).map_err(|error| trouble(&name, error))??)
            }
            None => None,
        };
        let backup = format!(".nuncio-{}.tmp", Uuid::now_v7().simple());
        Ok(Step { folder, file, place, draft, is_there: old.is_some(), backup })
    }
}

impl Step<'_> {
    fn name(&self) -> String {
        text::quoted(&self.place.to_string())
    }

    fn make(&self, draft: Option<Draft<'_>>) -> io::Result<()> {
        let backup = OsStr::new(&self.backup);
        match draft {
            Some(draft) if self.is_there => {
                // The old file has two names until the new one takes the first.
                fs::linkat(self.folder, self.file, self.folder, backup, AtFlags::empty())?;
                draft.publish(self.file)?;
            }
            Some(draft) => draft.publish_new(self.file)?,
            None => fs::renameat(self.folder, self.file, self.folder, backup)?,
        }
        Ok(())
    }

    /// After a change that was not made: no second name of the old file is left.
    fn restore(&self) {
        let _ = fs::unlinkat(self.folder, OsStr::new(&self.backup), AtFlags::empty());
    }

    /// False if the file stays changed.
    fn take_back(&self) -> bool {
        let undone = match self.is_there {
            true => fs::renameat(self.folder, OsStr::new(&self.backup), self.folder, self.file),
            false => fs::unlinkat(self.folder, self.file, AtFlags::empty()),
        };
        matches!(undone, Ok(()) | Err(Errno::NOENT))
    }

    /// The change stays.
    fn forget(&self) {
        if self.is_there {
            let _ = fs::unlinkat(self.folder, OsStr::new(&self.backup), AtFlags::empty());
        }
    }
}

fn failed(step: &Step<'_>, error: &io::Error, left: &[String]) -> ToolError {
    let outcome = match left {
        [] => "Nothing was changed".to_owned(),
        left => format!("It could not be taken back for {}", left.join(", ")),
    };
    tell(format!("{outcome}: {} could not be written ({error}).", step.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn change(workspace: &Workspace, name: &str, content: Option<&str>) -> Change {
        Change { place: workspace.locate(name).unwrap(), content: content.map(|content| content.as_bytes().to_vec()) }
    }

    fn contents(folder: &Path) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let mut contents: Vec<_> = entries
            .map(|entry| {
                let content = std::fs::read_to_string(entry.path()).unwrap_or_else(|_| "a folder".to_owned());
                (entry.file_name().into_string().unwrap(), content)
            })
            .collect();
        contents.sort();
        contents
    }

    /// Whichever of the files it is that cannot be written, the others are as before, and nothing else is there.
    #[test]
    fn what_fails_in_the_middle_is_taken_back() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let workspace = Workspace::open(root.as_path().into()).unwrap();
        for (name, content) in [("changed", "old"), ("removed", "old"), ("last", "old")] {
            std::fs::write(root.join(name), content).unwrap();
        }
        let before = contents(&root);
        let changes = [
            change(&workspace, "changed", Some("new")),
            change(&workspace, "made", Some("new")),
            change(&workspace, "removed", None),
            change(&workspace, "last", Some("new")),
        ];
        let folders: Vec<OwnedFd> = changes.iter().map(|_| workspace.folder(Path::new("")).unwrap()).collect();
        let mut steps: Vec<Step<'_>> = Vec::new();
        for (change, folder) in changes.iter().zip(&folders) {
            steps.push(workspace.prepare(change, folder, change.place.split().unwrap().1).unwrap());
        }
        let drafts: Vec<_> = steps.iter_mut().map(|step| step.draft.take()).collect();
        for (step, draft) in steps.iter().zip(drafts) {
            step.make(draft).unwrap();
        }
        assert_eq!(contents(&root).iter().filter(|(name, _)| !name.starts_with(".nuncio-")).count(), 3);
        assert!(steps.iter().rev().all(Step::take_back));
        assert_eq!(contents(&root), before);

        workspace.replace_together(&changes).unwrap();
        let after = [("changed", "new"), ("last", "new"), ("made", "new")];
        assert_eq!(contents(&root), after.map(|(name, content)| (name.to_owned(), content.to_owned())));

        std::fs::create_dir(root.join("folder")).unwrap();
        let before = contents(&root);
        let changes = [change(&workspace, "changed", Some("newer")), change(&workspace, "folder", Some("newer"))];
        workspace.replace_together(&changes).unwrap_err();
        assert_eq!(contents(&root), before);
    }
}
