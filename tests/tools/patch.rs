//! Patches as a model sends them: all of one is done, or nothing.

use crate::{Desk, names, settings};
use nuncio::tools::ToolSettings;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

#[tokio::test]
async fn one_patch_changes_makes_removes_and_renames() {
    let desk = Desk::new();
    desk.put("src/main.rs", "fn main() {\n    one();\n    two();\n}\n");
    desk.put("run.sh", "#!/bin/sh\r\nexit 1\r\n");
    desk.put("old.txt", "a\nb\n");
    desk.put("gone.txt", "x\n");
    fs::set_permissions(desk.workspace.join("run.sh"), fs::Permissions::from_mode(0o751)).unwrap();
    let patch = "\
diff --git a/src/main.rs b/src/main.rs
--- a/src/main.rs
+++ b/src/main.rs
@@ -9,3 +9,4 @@ fn main() {
     one();
-    two();
+    three();
+    four();
 }
--- a/run.sh
+++ b/run.sh
@@ -2 +2 @@
-exit 1
+exit 0
--- /dev/null
+++ b/docs/new.md
@@ -0,0 +1,2 @@
+# New
+
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/old.txt b/new.txt
rename from old.txt
rename to new.txt
--- a/old.txt
+++ b/new.txt
@@ -1,2 +1,2 @@
 a
-b
+c
";
    let told = desk.ok("apply_patch", json!({"patch": patch})).await;
    let expected = "Patched 5 files:\n`src/main.rs`: 1 hunk\n`run.sh`: 1 hunk\n`docs/new.md`: made\n`gone.txt`: \
                    removed\n`old.txt` renamed to `new.txt`: 1 hunk";
    assert_eq!(told, expected);
    assert_eq!(names(&desk.workspace), ["docs", "new.txt", "run.sh", "src"]);
    let contents = ["src/main.rs", "run.sh", "docs/new.md", "new.txt"].map(|path| desk.content(path));
    assert_eq!(
        contents,
        ["fn main() {\n    one();\n    three();\n    four();\n}\n", "#!/bin/sh\r\nexit 0\r\n", "# New\n\n", "a\nc\n"]
    );
    let mode = fs::metadata(desk.workspace.join("run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o751);
}

#[tokio::test]
async fn where_one_part_does_not_fit_nothing_is_changed() {
    let desk = Desk::new();
    desk.put("a.txt", "one\ntwo\nthree\n");
    desk.put("b.txt", "alpha\nbeta\n");
    desk.put("binary", b"\0\0");
    symlink(&desk.outside, desk.workspace.join("way-out")).unwrap();
    let good = "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
    let cases = [
        (
            "--- a/b.txt\n+++ b/b.txt\n@@ -1,2 +1,2 @@\n alpha\n-gamma\n+delta\n",
            "Nothing was changed. Hunk 1 of `b.txt` (`@@ -1,2 +1,2 @@`) does not fit: line 2 is `beta`, and the hunk has \
             `gamma`. The file has there:\n1\talpha\n2\tbeta",
        ),
        (
            "--- a/none.txt\n+++ b/none.txt\n@@ -1 +1 @@\n-x\n+y\n",
            "Nothing was changed. `none.txt` does not exist. list_files shows what there is.",
        ),
        (
            "--- /dev/null\n+++ b/b.txt\n@@ -0,0 +1 @@\n+y\n",
            "Nothing was changed. `b.txt` exists already, and the patch would make it. To change it, give its old lines; \
             to replace it, use write_file.",
        ),
        (
            "--- a/b.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-alpha\n",
            "Nothing was changed. The patch removes `b.txt`, but not all of its lines: `beta` is left.",
        ),
        (
            "--- a/binary\n+++ b/binary\n@@ -1 +1 @@\n-x\n+y\n",
            "Nothing was changed. `binary` is binary (2 bytes), and only text can be shown or edited.",
        ),
        (
            "--- /dev/null\n+++ b/way-out/x\n@@ -0,0 +1 @@\n+y\n",
            "`way-out/x` is outside the workspace, and only the workspace can be accessed. Give a path relative to it, \
             such as `notes.txt` or `src/main.rs`; `.` is the workspace itself.",
        ),
        (
            "--- /dev/null\n+++ b/a.txt/x\n@@ -0,0 +1 @@\n+y\n",
            "`a.txt/x` cannot be reached: a part of it is a file, not a folder.",
        ),
    ];
    for (bad, expected) in cases {
        for patch in [format!("{good}{bad}"), format!("{bad}{good}")] {
            assert_eq!(desk.told("apply_patch", json!({"patch": patch})).await, expected, "{patch}");
        }
        let left = ["a.txt", "b.txt"].map(|path| desk.content(path));
        assert_eq!(left, ["one\ntwo\nthree\n", "alpha\nbeta\n"]);
        assert_eq!(names(&desk.workspace), ["a.txt", "b.txt", "binary", "way-out"]);
    }
    assert_eq!(names(&desk.outside), [""; 0]);
}

#[tokio::test]
async fn what_a_patch_holds_at_once_has_a_bound() {
    let desk = Desk::with(ToolSettings { read_limit: 1000, ..settings() });
    let part = |at: usize| {
        desk.put(&format!("{at}.txt"), format!("x\n{}\n", "y".repeat(990)));
        format!("--- a/{at}.txt\n+++ b/{at}.txt\n@@ -1 +1 @@\n-x\n+z\n")
    };
    let parts: Vec<String> = (1..=5).map(part).collect();
    let refused = desk.told("apply_patch", json!({"patch": parts.concat()})).await;
    assert_eq!(refused, "Nothing was changed. Its files have more than 4,000 bytes together. Split it.");
    desk.ok("apply_patch", json!({"patch": parts[..4].concat()})).await;
    assert_eq!(["4.txt", "5.txt"].map(|path| desk.content(path)[..1].to_owned()), ["z", "x"]);
}

#[tokio::test]
async fn the_other_form_is_understood_and_a_file_may_be_patched_twice() {
    let desk = Desk::new();
    desk.put("a.py", "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 1\n");
    desk.put("b.py", "x = 1\n");
    let patch = "\
*** Begin Patch

*** Update File: a.py

@@ class A:
@@     def g(self):
-        return 1
+        return 2

*** Update File: a.py
@@
     def f(self):
-        return 1
+        return 3
*** Update File: b.py
*** Move to: lib/b.py
@@
-x = 1
+x = 2
*** Add File: c.py
+y = 1

+z = 1

*** End Patch
";
    let told = desk.ok("apply_patch", json!({"patch": patch})).await;
    assert_eq!(
        told,
        "Patched 4 files:\n`a.py`: 1 hunk\n`a.py`: 1 hunk\n`b.py` renamed to `lib/b.py`: 1 hunk\n`c.py`: made"
    );
    let contents = ["a.py", "lib/b.py", "c.py"].map(|path| desk.content(path));
    let class = "class A:\n    def f(self):\n        return 3\n\n    def g(self):\n        return 2\n";
    assert_eq!(contents, [class, "x = 2\n", "y = 1\n\nz = 1\n"]);
    assert_eq!(names(&desk.workspace), ["a.py", "c.py", "lib"]);
}
