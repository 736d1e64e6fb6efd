//! `run --listen … --to …`: flags as the text of a configuration, so that both ways in go through the same door and `--print-config` prints
//! what is obeyed.

use crate::syntax::write_word;

/// What `run` takes instead of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFlags {
    /// `--listen`: addresses, each as after `http`.
    pub listen: Vec<String>,
    /// `--to`: servers, each as after `to`; commas part several.
    pub to: Vec<String>,
    /// `--sticky[=NAME]`: an empty name takes the default.
    pub sticky: Option<String>,
    /// `--check`: a path, or what else may stand after `check`.
    pub check: Option<String>,
}

impl RunFlags {
    /// The configuration that the flags stand for. Nothing is checked here: that is done where it is loaded.
    pub fn text(&self) -> String {
        let mut out = String::from("state off\n");
        match self.listen.as_slice() {
            [listen] => {
                out.push_str(&format!("http {} {{\n    to {}\n", write_word(listen, false), self.servers().join(" ")));
                self.push_words(&mut out);
                out.push_str("}\n");
            }
            listens => {
                for listen in listens {
                    out.push_str(&format!("http {} {{\n    route * to=servers\n}}\n", write_word(listen, false)));
                }
                out.push_str("pool servers {\n");
                for (number, server) in (1u32..).zip(self.servers()) {
                    out.push_str(&format!("    server s{number} {server}\n"));
                }
                self.push_words(&mut out);
                out.push_str("}\n");
            }
        }
        crate::format(&out)
    }

    fn servers(&self) -> Vec<String> {
        let parts = self.to.iter().flat_map(|list| list.split(','));
        parts.map(str::trim).filter(|part| !part.is_empty()).map(|part| write_word(part, false)).collect()
    }

    fn push_words(&self, out: &mut String) {
        match self.sticky.as_deref() {
            Some("") => out.push_str("    sticky\n"),
            Some(name) => out.push_str(&format!("    sticky cookie {}\n", write_word(name, false))),
            None => {}
        }
        if let Some(check) = &self.check {
            let words: Vec<String> = check.split_whitespace().map(|word| write_word(word, false)).collect();
            out.push_str(&format!("    check {}\n", words.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RunFlags;
    use crate::{MemorySource, Options, load_text};

    #[test]
    fn flags_become_a_configuration_that_loads() {
        let one = RunFlags {
            listen: vec![":8080".to_owned()],
            to: vec!["127.0.0.1:9001,127.0.0.1:9002".to_owned()],
            sticky: Some(String::new()),
            check: Some("/healthz".to_owned()),
        };
        assert_eq!(
            one.text(),
            "state off\nhttp :8080 {\n    to      127.0.0.1:9001 127.0.0.1:9002\n    sticky\n    check   /healthz\n}\n"
        );
        let two = RunFlags {
            listen: vec![":8080".to_owned(), ":8081".to_owned()],
            sticky: Some("SRV".to_owned()),
            ..one.clone()
        };
        for (flags, listeners) in [(one, 1), (two, 2)] {
            let loaded =
                load_text("command line", flags.text().as_bytes(), &MemorySource::default(), &Options::default());
            let config = loaded.config.unwrap();
            assert_eq!((config.listeners.len(), config.pools.len()), (listeners, 1));
            assert_eq!(config.pools[0].servers.len(), 2);
            assert!(!config.pools[0].sticky.is_empty());
            assert_eq!(config.process.state, None);
        }
    }

    #[test]
    fn a_flag_with_blanks_stays_one_word_and_is_refused_where_it_is_read() {
        let flags = RunFlags { listen: vec![":80 { x".to_owned()], to: vec!["a b".to_owned()], ..RunFlags::default() };
        let loaded = load_text("command line", flags.text().as_bytes(), &MemorySource::default(), &Options::default());
        assert_eq!(loaded.diagnostics.len(), 2, "{:?}", loaded.diagnostics);
    }
}
