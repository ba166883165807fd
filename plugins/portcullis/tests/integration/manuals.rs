//! Requirements for the READMEs of all plugins.

use std::fs;

use crate::root;

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// No README explains `match` itself.
#[test]
fn every_readme_leads_to_the_one_explanation_of_match() {
    let mut readmes = 0;
    for plugin in portcullis::ALL {
        if !plugin.schema.contains("\"match\"") {
            continue;
        }
        let readme = read(&format!(
            "plugins/{}/README.md",
            plugin.name.replace('_', "-")
        ));
        // A row of a table, or a paragraph.
        let introduction = readme
            .split("\n\n")
            .flat_map(|part| match part.starts_with('|') {
                true => part.lines().collect(),
                false => vec![part],
            })
            .find(|part| part.contains("`match`") && part.contains("`methods`"));
        assert!(
            introduction.is_some_and(|part| part.contains("](../../docs/matching.md)")),
            "{}: {introduction:?}",
            plugin.name
        );
        readmes += 1;
    }
    assert!(readmes >= 5, "{readmes}");
    let matching = read("docs/matching.md");
    for word in ["canonical form", "final slash", "Letter case"] {
        assert!(matching.contains(word), "{word}");
    }
}

/// No README compares the hosts itself.
#[test]
fn every_readme_leads_to_the_comparison_of_the_hosts() {
    let names = portcullis::ALL.iter().chain([&portcullis::ONE_MODULE]);
    for name in names.map(|plugin| plugin.name) {
        let readme = read(&format!("plugins/{}/README.md", name.replace('_', "-")));
        let sentences = readme.split("\n\n");
        let mut about_it = sentences.filter(|part| part.contains("](../../docs/hosts.md)"));
        assert!(
            about_it.any(|part| part.contains(&format!("`{name}`"))),
            "{name}: the library knows the filter by this name"
        );
    }
}
