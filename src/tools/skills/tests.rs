use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

struct Shelf {
    folder: TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn put(&self, path: &str, content: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn skill(&self, folder: &str, name: &str, description: &str) {
        let file = format!("---\nname: {name}\ndescription: {description}\n---\nDo it.\n");
        self.put(&format!("{folder}/{INSTRUCTIONS}"), &file);
    }
}

#[test]
fn what_is_there_is_offered_in_order_and_what_is_broken_is_told() {
    let (one, other) = (Shelf::new(), Shelf::new());
    one.skill("z", "zip", "Packs.");
    one.skill("a", "apple", "Peels.");
    one.put("broken/SKILL.md", "no front matter");
    one.put("README.md", "not a folder");
    fs::create_dir_all(one.path().join(".git")).unwrap();
    fs::create_dir_all(one.path().join("empty")).unwrap();
    other.skill("zip", "zip", "Packs otherwise.");
    other.skill("real/pear", "pear", "Eats.");
    symlink(other.path().join("real/pear"), other.path().join("pear")).unwrap();
    let missing = one.path().join("missing");
    let skills = Skills::new(vec![one.path(), missing.clone(), other.path()]);
    let found = skills.look();
    let expected = "\n- apple: Peels.\n- pear: Eats.\n- zip: Packs.";
    assert!(found.told().unwrap().ends_with(&format!("and follow it:{expected}")), "{found:?}");
    assert_eq!(found.skills["pear"].folder, other.path().join("real/pear"), "where it really is");
    let at = |path: PathBuf| path.display().to_string();
    let problems = [
        format!(
            "{} does not begin with `---`, `name:` and `description:` lines, and `---` again",
            at(one.path().join("broken/SKILL.md"))
        ),
        format!("{} has no SKILL.md", at(one.path().join("empty"))),
        format!("{} cannot be read: No such file or directory (os error 2)", at(missing)),
        format!("{} has no SKILL.md", at(other.path().join("real"))),
        format!("{} is called zip as {} is, which comes first", at(other.path().join("zip")), at(one.path().join("z"))),
    ];
    assert_eq!(found.problems, problems);
}

#[test]
fn commands_get_to_read_skills_wherever_they_really_are() {
    let (shelf, other) = (Shelf::new(), Shelf::new());
    shelf.skill("a", "apple", "Peels.");
    other.skill("pear", "pear", "Eats.");
    symlink(other.path().join("pear"), shelf.path().join("pear")).unwrap();
    let skills = Skills::new(vec![shelf.path(), shelf.path().join("missing")]);
    skills.look();
    assert_eq!(skills.readable(), [shelf.path(), other.path().join("pear")]);
}

#[test]
fn a_look_sees_what_has_changed_since_the_last_one() {
    let shelf = Shelf::new();
    let skills = Skills::new(vec![shelf.path()]);
    assert_eq!(skills.look().told(), None);
    shelf.skill("a", "apple", "Peels.");
    let first = skills.look();
    assert!(Arc::ptr_eq(&first, &skills.look()), "nothing has changed");
    shelf.skill("a", "apple", "Peels and cores.");
    assert_eq!(skills.look().skills["apple"].description, "Peels and cores.");
    fs::remove_dir_all(shelf.path().join("a")).unwrap();
    assert_eq!(*skills.look(), Catalogue::default());
}

#[test]
fn the_list_is_bounded() {
    let shelf = Shelf::new();
    for number in 0..MAX_SKILLS + 2 {
        shelf.skill(&format!("s{number:03}"), &format!("s{number:03}"), &"x".repeat(1000));
    }
    let found = Skills::new(vec![shelf.path()]).look();
    let told = found.told().unwrap();
    assert_eq!((found.skills.len(), found.problems.len()), (MAX_SKILLS, 2));
    assert!(told.len() < MAX_LIST + 8 * MAX_SKILLS, "{}", told.len());
    assert!(told.ends_with("s198, s199."), "{told}");
}
