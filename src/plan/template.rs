//! `{{ name }}` in a plan's texts, filled from the parameters. Unknown names are errors, never empty text.

use super::Params;

/// A text with parameters in it, checked when the plan was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

/// Why a template could not be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {why}")]
pub struct RenderError {
    /// The template.
    pub text: String,
    /// What the engine said.
    pub why: String,
}

fn engine() -> minijinja::Environment<'static> {
    let mut engine = minijinja::Environment::empty();
    engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    if let Ok(syntax) = minijinja::syntax::SyntaxConfig::builder().keep_trailing_newline(true).build() {
        engine.set_syntax(syntax);
    }
    engine
}

impl Template {
    /// Checks the syntax.
    pub fn new(text: &str) -> Result<Self, String> {
        engine().template_from_str(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
    /// As it stands in the plan.
    pub fn text(&self) -> &str {
        &self.0
    }
    /// The parameters it names.
    pub fn names(&self) -> Vec<String> {
        let engine = engine();
        let Ok(template) = engine.template_from_str(&self.0) else {
            return vec![];
        }; // checked by `new`
        let mut names: Vec<_> = template.undeclared_variables(true).into_iter().collect();
        names.sort();
        names
    }
    /// Fills it.
    pub fn render(&self, params: &Params) -> Result<String, RenderError> {
        let error = |why: String| RenderError { text: self.0.clone(), why };
        if let Some(missing) = self.names().into_iter().find(|name| !params.contains_key(name)) {
            return Err(error(format!("parameter {missing:?} has no value; give it with --param {missing}=VALUE")));
        }
        engine().render_str(&self.0, params).map_err(|e| error(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_parameter_is_an_error_and_not_empty_text() {
        let template = Template::new("drop {{ index }} {{ index }}\n").unwrap();
        assert_eq!(template.names(), ["index"]);
        assert!(template.render(&Params::new()).unwrap_err().why.contains("--param index="));
        let params = Params::from([("index".to_owned(), "a'b".to_owned())]);
        assert_eq!(template.render(&params).unwrap(), "drop a'b a'b\n");
        assert!(Template::new("{{ a").is_err());
    }
}
