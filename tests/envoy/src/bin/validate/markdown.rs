//! Blocks of code in Markdown.

/// The blocks with this language, each with the line where it begins.
pub(crate) fn blocks(markdown: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(marked) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        // Blocks of other languages are also read, so that their end does not count as a beginning.
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| line.trim() != "```")
            .collect();
        if marked.trim() == language {
            blocks.push((number + 2, block.join("\n")));
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn blocks_of_a_language_are_found_with_their_lines() {
        let markdown = "# Title\n```sh\n```json\n```\n\n  ```json\n  {\n  }\n  ```\n```jsonc\n{}\n```\n\
                        ```\n{}\n```\n```json\n[]\n```\n";

        let found = blocks(markdown, "json");

        assert_eq!(found, [(7, "  {\n  }".to_owned()), (17, "[]".to_owned())]);
    }
}
