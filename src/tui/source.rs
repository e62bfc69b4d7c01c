//! A file of the user's own, a theme or the configuration: what is wrong with it is told with the place underlined, and the
//! file is never written.

use crate::name::shown;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rendered}")]
pub struct Wrong {
    rendered: String,
}

/// The text of such a file.
pub struct Source<'a> {
    /// Its name, for people.
    pub origin: &'a str,
    /// What it holds.
    pub text: &'a str,
}
impl Source<'_> {
    /// What is wrong there, drawn with the place underlined.
    pub fn error(&self, span: Range<usize>, title: &str, label: &str) -> Wrong {
        let end = span.end.min(self.text.len());
        let start = span.start.min(end);
        let (title, label, origin) = (shown(title), shown(label), shown(self.origin));
        // Drawn only where the text holds nothing that could draw on the terminal by itself.
        let harmless = !self.text.chars().any(|c| c != '\n' && c != '\t' && crate::name::is_hidden(c));
        let group = if harmless {
            Level::ERROR.primary_title(title).element(
                Snippet::source(self.text)
                    .path(origin)
                    .annotation(AnnotationKind::Primary.span(start..end).label(label)),
            )
        } else {
            let line = self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            Level::ERROR.primary_title(format!("{origin}:{line}: {title}")).element(Level::NOTE.message(label))
        };
        Wrong { rendered: Renderer::plain().render(&[group]) }
    }
}
