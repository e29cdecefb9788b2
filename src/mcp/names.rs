//! What the tools of servers are called here: as there, unless that cannot be or is taken.

use std::collections::HashSet;

/// Characters of a name that every upstream takes.
const MAX_NAME: usize = 64;

/// Between the server's name and the tool's.
pub const SEPARATOR: &str = "__";

/// Names for the tools of each server, in the same order. Two names that would be the same both get the name of their
/// server, so that it makes no difference which was there first; so does one in `taken`.
pub fn assign(servers: &[(&str, Vec<&str>)], taken: &[&str]) -> Vec<Vec<String>> {
    let plain: Vec<Vec<String>> =
        servers.iter().map(|(_, tools)| tools.iter().map(|tool| cleaned(tool)).collect()).collect();
    let clashes = |of: usize, name: &String| {
        let elsewhere = plain.iter().enumerate().any(|(at, names)| at != of && names.contains(name));
        elsewhere || taken.contains(&name.as_str())
    };
    let mut used: HashSet<String> = taken.iter().map(|name| (*name).to_owned()).collect();
    // Whoever keeps a plain name has it for certain, before a prefix or a number could make the same of another.
    let mut named: Vec<Vec<Option<String>>> = Vec::with_capacity(plain.len());
    for (of, names) in plain.iter().enumerate() {
        let keep = |name: &String| (!clashes(of, name) && used.insert(name.clone())).then(|| name.clone());
        named.push(names.iter().map(keep).collect());
    }
    let whole = |of: usize, name: Option<String>, plain: &String, used: &mut HashSet<String>| {
        name.unwrap_or_else(|| {
            let server = servers.get(of).map_or("", |(server, _)| server);
            unused(&cleaned(&format!("{server}{SEPARATOR}{plain}")), used)
        })
    };
    let mut all = Vec::with_capacity(plain.len());
    for (of, (names, plain)) in named.into_iter().zip(&plain).enumerate() {
        all.push(names.into_iter().zip(plain).map(|(name, plain)| whole(of, name, plain, &mut used)).collect());
    }
    all
}

fn cleaned(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name: String = name.chars().take(MAX_NAME).map(|c| if allowed(c) { c } else { '_' }).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// The name, or the name with the first number that makes it one of its own.
fn unused(name: &str, used: &mut HashSet<String>) -> String {
    let numbered = (2_u32..).map(|number| {
        let end = format!("_{number}");
        let room = MAX_NAME.saturating_sub(end.len());
        format!("{}{end}", name.chars().take(room).collect::<String>())
    });
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| used.insert(name.clone())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clash_is_settled_by_the_names_of_the_servers_whoever_came_first() {
        let files = ("files", vec!["read_file", "list", "a.b", "a/b"]);
        let web = ("web", vec!["fetch", "list"]);
        let taken = ["read_file", "terminal"];
        let of_files = ["files__read_file", "files__list", "a_b", "files__a_b"].map(str::to_owned).to_vec();
        let of_web = ["fetch", "web__list"].map(str::to_owned).to_vec();
        assert_eq!(assign(&[files.clone(), web.clone()], &taken), [of_files.clone(), of_web.clone()]);
        assert_eq!(assign(&[web, files], &taken), [of_web, of_files]);
    }

    #[test]
    fn every_name_is_one_that_upstreams_take_and_no_other_has() {
        let long = "x".repeat(80);
        let servers = [("a", vec![&*long, "", "ä b"]), ("a.", vec![&*long, "c"]), ("b", vec!["a___c", "c"])];
        let names = assign(&servers, &[]).concat();
        let good = |name: &String| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        };
        assert!(names.iter().all(good), "{names:?}");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), 7, "{names:?}");
        assert_eq!(names[1..], ["unnamed", "__b", &format!("a___{}", "x".repeat(60)), "a___c_2", "a___c", "b__c"]);
    }
}
