//! Text whose references to variables are taken out, so that what is around them can be cut without cutting them.
//!
//! References are those of the configuration: `${NAME}` and `${NAME:-default}`; `$${` is a plain `${`.

use super::shown::{MASK, mask, mask_url};

/// Text whose references are single characters of the private planes: of one plane where the default of the reference
/// must not be shown, of the other where it is part of an address.
#[derive(Default)]
pub(super) struct Template {
    pub(super) text: String,
    references: Vec<Reference>,
}

struct Reference {
    name: String,
    /// Text with stand-ins of its own.
    default: Option<String>,
}

/// The two private planes.
const HIDDEN: u32 = 0xF_0000;
const ADDRESS: u32 = 0x10_0000;
/// Code points in each; its last two are no characters.
const ROOM: u32 = 0xFFFE;
/// As deep as the configuration lets defaults nest.
const MAX_DEPTH: usize = 8;

impl Template {
    pub(super) fn new(text: &str) -> Self {
        let mut template = Template::default();
        let mut rest = text;
        loop {
            let start = reference_start(rest);
            let (before, reference) = rest.split_at(start);
            template.text.push_str(&without_stand_ins(before));
            if reference.is_empty() {
                return template;
            }
            rest = match template.reference(reference, 0) {
                Some((stand_in, after)) => {
                    template.text.push(stand_in);
                    after
                }
                // What only looks like a reference could be anything.
                None => {
                    template.text.push_str(MASK);
                    &reference[broken_length(reference)..]
                }
            };
        }
    }

    /// Reads the `${…}` at the start of `text`: what stands for it, and what follows it.
    fn reference<'t>(&mut self, text: &'t str, depth: usize) -> Option<(char, &'t str)> {
        let body = &text[2..];
        let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
        let (name, after) = body.split_at(name_end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || depth > MAX_DEPTH {
            return None;
        }
        let (default, after) = match after.strip_prefix(":-") {
            Some(default) => self.default_text(default, depth + 1).map(|(default, after)| (Some(default), after))?,
            None => (None, after),
        };
        let after = after.strip_prefix('}')?;
        let index = u32::try_from(self.references.len()).unwrap_or(u32::MAX).min(ROOM - 1);
        self.references.push(Reference { name: name.to_owned(), default });
        Some((char::from_u32(HIDDEN + index)?, after))
    }

    /// Reads a default up to the `}` that closes it.
    fn default_text<'t>(&mut self, text: &'t str, depth: usize) -> Option<(String, &'t str)> {
        let mut default = String::new();
        let mut rest = text;
        loop {
            let start = reference_start(rest);
            if let Some(end) = rest[..start].find('}') {
                default.push_str(&without_stand_ins(&rest[..end]));
                return Some((default, &rest[end..]));
            }
            let (before, reference) = rest.split_at(start);
            default.push_str(&without_stand_ins(before));
            let (stand_in, after) = Some(reference).filter(|r| !r.is_empty()).and_then(|r| self.reference(r, depth))?;
            default.push(stand_in);
            rest = after;
        }
    }

    /// `text`, which was made from [`Self::text`], with the references in their places.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        for c in text.chars() {
            let Some((reference, plane)) = self.reference_of(c) else {
                filled.push(c);
                continue;
            };
            let default = reference.default.as_deref().map(|default| match plane {
                ADDRESS if default.contains("://") => mask_url(self, default),
                ADDRESS if is_host(default) => in_address(default),
                _ => mask(default),
            });
            filled.push_str("${");
            filled.push_str(&reference.name);
            if let Some(default) = default {
                filled.push_str(&format!(":-{}", self.fill(&default)));
            }
            filled.push('}');
        }
        filled
    }

    /// Whether a reference has a default that is a whole address.
    pub(super) fn defaults_to_address(&self, stand_in: char) -> bool {
        let default = self.reference_of(stand_in).and_then(|(reference, _)| reference.default.as_deref());
        default.is_some_and(|default| default.contains("://"))
    }

    fn reference_of(&self, c: char) -> Option<(&Reference, u32)> {
        let plane = [ADDRESS, HIDDEN].into_iter().find(|plane| c as u32 >= *plane)?;
        Some((self.references.get((c as u32 - plane) as usize)?, plane))
    }
}

/// Where the first `${` is that is no `$${`; the end if there is none.
fn reference_start(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        if !text[..at].ends_with('$') {
            return at;
        }
        from = at + 2;
    }
    text.len()
}

/// Bytes of what only looks like a reference at the start of `text`: all of it where it is never closed.
fn broken_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with('$') => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// Whether a character stands for a reference.
pub(super) fn is_stand_in(c: char) -> bool {
    c as u32 >= HIDDEN
}

/// The same text, where the defaults of its references are part of an address: shown, since without them it is none.
pub(super) fn in_address(text: &str) -> String {
    let of_address = |c: char| char::from_u32(c as u32 - HIDDEN + ADDRESS).unwrap_or(c);
    text.chars().map(|c| if is_stand_in(c) && (c as u32) < ADDRESS { of_address(c) } else { c }).collect()
}

/// A scheme, a host name, an IP address, a port, or a piece of one.
fn is_host(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c) || is_stand_in(c))
}

fn without_stand_ins(text: &str) -> String {
    text.chars().map(|c| if is_stand_in(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
