use super::*;

fn file(from: Option<&str>, to: Option<&str>, hunks: Vec<Hunk>) -> FilePatch {
    FilePatch { from: from.map(str::to_owned), to: to.map(str::to_owned), renames: false, hunks }
}

fn hunk(header: &str, line: Option<usize>, lines: &[&str]) -> Hunk {
    let side = |line: &&str| match line.split_at(1) {
        ("-", rest) => (Side::Old, rest.to_owned()),
        ("+", rest) => (Side::New, rest.to_owned()),
        (_, rest) => (Side::Both, rest.to_owned()),
    };
    Hunk { header: header.to_owned(), line, lines: lines.iter().map(side).collect(), ..Hunk::default() }
}

#[test]
fn every_form_of_a_patch_is_read() {
    let git = "From 1234 Mon Sep 17\nSubject: x\n\ndiff --git a/old.rs b/new.rs\nsimilarity index 90%\nrename from \
               old.rs\nrename to new.rs\nindex 1..2 100644\n--- a/old.rs\n+++ b/new.rs\n@@ -3 +3 @@ fn main() {\n-a\n+b\n\
               diff --git a/gone b/gone\ndeleted file mode 100644\nindex 1..0\ndiff --git a/empty b/empty\nnew file mode \
               100644\nindex 0..0\ndiff --git a/run b/run\nold mode 100644\nnew mode 100755\n-- \n2.40.0\n";
    let renamed = FilePatch {
        renames: true,
        ..file(Some("old.rs"), Some("new.rs"), vec![hunk("@@ -3 +3 @@ fn main() {", Some(3), &["-a", "+b"])])
    };
    let begin = "*** Begin Patch\n*** Update File: a.py\n*** Move to: b.py\n@@ class A\n@@ def f\n x\n-y\n+z\n@@\n-q\n*** \
                 End of File\n*** Add File: n\n+1\n*** Delete File: o\n*** End Patch";
    let anchored = Hunk {
        anchors: vec!["class A".to_owned(), "def f".to_owned()],
        ..hunk("@@ class A", None, &[" x", "-y", "+z"])
    };
    let moved =
        FilePatch { renames: true, ..file(Some("a.py"), Some("b.py"), vec![anchored, hunk("@@", None, &["-q"])]) };
    let cases = [
        (git, vec![renamed, file(Some("gone"), None, vec![]), file(None, Some("empty"), vec![])]),
        (begin, vec![moved, file(None, Some("n"), vec![hunk("@@", None, &["+1"])]), file(Some("o"), None, vec![])]),
        (
            // Counts that are wrong, a removed line that looks like a header, a context line that lost its space.
            "--- a.sql\t2026-01-01\n+++ a.sql\n@@ -1,9 +1,2 @@\n x\n\n--- old\n+-- new\n@@ ... @@\n-y\n\n\n--- b\n+++ b\n@@\n-z",
            vec![
                file(
                    Some("a.sql"),
                    Some("a.sql"),
                    vec![
                        hunk("@@ -1,9 +1,2 @@", Some(1), &[" x", " ", "--- old", "+-- new"]),
                        hunk("@@ ... @@", None, &["-y"]),
                    ],
                ),
                file(Some("b"), Some("b"), vec![hunk("@@", None, &["-z"])]),
            ],
        ),
        (
            // One line too few by its own account, and words after it.
            "Here:\n--- a\n+++ b/a\n@@ -1 +1 @@\n x\n\n-y\n\nHope it helps!\n",
            vec![file(Some("a"), Some("b/a"), vec![hunk("@@ -1 +1 @@", Some(1), &[" x", " ", "-y"])])],
        ),
        (
            "--- /dev/null\n+++ b/new file\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n",
            vec![file(
                None,
                Some("new file"),
                vec![Hunk { newline: (None, Some(false)), ..hunk("@@ -0,0 +1 @@", Some(0), &["+x"]) }],
            )],
        ),
    ];
    for (patch, expected) in cases {
        assert_eq!(parse(patch).unwrap(), expected, "{patch}");
    }
}

#[test]
fn what_is_no_patch_is_told() {
    let cases = [
        ("", "There is no change in the patch: it has neither `---` and `+++` lines nor `*** Begin Patch`."),
        ("@@ -1 +1 @@\n-a\n+b", "`@@ -1 +1 @@` comes before any `---` and `+++` line."),
        (
            "--- a\n+++ a\n@@ -1,3 +1,3 @@\n-a\nb",
            "`b` is in the hunk `@@ -1,3 +1,3 @@` and begins with none of a space, `-` and `+`.",
        ),
        ("diff --git a/x b/x\nGIT binary patch\nliteral 1", "Binary files cannot be patched."),
        ("*** Begin Patch\n*** Delete File: a\n", "The patch has no `*** End Patch`: it may be cut off."),
        ("*** Begin Patch\n+x", "`+x` is out of place between `*** Begin Patch` and `*** End Patch`."),
    ];
    for (patch, expected) in cases {
        assert_eq!(parse(patch).unwrap_err(), expected, "{patch}");
    }
}

#[test]
fn a_hunk_goes_where_its_lines_are() {
    let at = |line, lines: &[&str]| hunk("@@", line, lines);
    let cases = [
        ("a\nb\nc\n", vec![at(Some(2), &[" a", "-b", "+B", " c"])], Ok("a\nB\nc\n")), // its number is off by one
        ("x\na\nx\na\nx\na\n", vec![at(Some(4), &["-a", "+b"])], Ok("x\na\nx\nb\nx\na\n")),
        ("x\na\nx\na\nx\na\n", vec![at(Some(5), &["-a", "+b"])], Ok("x\na\nx\nb\nx\na\n")),
        ("1\n2\n3\n4\na\n5\na\n", vec![at(Some(1), &["-4"]), at(Some(4), &["-a"])], Ok("1\n2\n3\na\n5\n")),
        ("a\r\nb\r\n", vec![at(Some(1), &["-a", "+A", "+x"])], Ok("A\r\nx\r\nb\r\n")),
        ("a\nb", vec![at(None, &["-b", "+B"])], Ok("a\nB")),
        ("a\n", vec![at(Some(1), &["+b"])], Ok("a\nb\n")),
        ("a\nc\n", vec![at(Some(1), &["+b"])], Ok("a\nb\nc\n")),
        ("a\nc\n", vec![at(None, &["+d"])], Ok("a\nc\nd\n")),
        ("", vec![at(Some(0), &["+a", "+b"])], Ok("a\nb\n")),
        ("a\n", vec![at(Some(1), &["-a"])], Ok("")),
        ("a\n", vec![Hunk { newline: (None, Some(false)), ..at(Some(1), &["-a", "+b"]) }], Ok("b")),
        ("a", vec![Hunk { newline: (Some(false), None), ..at(Some(1), &["-a", "+b"]) }], Ok("b\n")),
        (
            "def f\n x\ndef g\n x\n",
            vec![Hunk { anchors: vec!["def g".into()], ..at(None, &["- x", "+ y"]) }],
            Ok("def f\n x\ndef g\n y\n"),
        ),
        (
            "a\na\n",
            vec![at(None, &["-a"])],
            Err("Hunk 1 of `f` (`@@`) fits at several places, such as lines 1, 2: give more context."),
        ),
        (
            "b\n",
            vec![at(Some(1), &["-a", "+b"])],
            Err(
                "Hunk 1 of `f` (`@@`) does not fit, but its new lines are in the file: it may have been applied already.",
            ),
        ),
        (
            "a\n",
            vec![Hunk { anchors: vec!["def g".into()], ..at(None, &["-a"]) }],
            Err("Hunk 1 of `f` (`@@`) comes after the line `def g`, which is not in the rest of the file."),
        ),
        (
            "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
            vec![at(Some(1), &["-1"]), at(Some(3), &[" 6", "-seven", "+VII"])],
            Err(
                "Hunk 2 of `f` (`@@`) does not fit: line 7 is `7`, and the hunk has `seven`. The file has there:\n3\t3\n4\t4\n5\t5\n6\t6\n7\t7\n8\t8\n9\t9",
            ),
        ),
        ("", vec![at(Some(1), &["-a"])], Err("Hunk 1 of `f` (`@@`) does not fit: the file is empty.")),
    ];
    for (content, hunks, expected) in cases {
        let applied = fit::apply(&hunks, content, "`f`", || true);
        assert_eq!(applied.as_deref().map_err(String::as_str), expected, "{hunks:?} on {content:?}");
    }
}
