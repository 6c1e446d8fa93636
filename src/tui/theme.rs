//! Colours as roles: the only file that names a colour. Views ask for a role and get a style.
//!
//! Only the 16 colours of the terminal's own palette are used, so that a person's light, dark or
//! high-contrast palette keeps working. `muted` is the terminal's text colour dimmed: "bright
//! black" is invisible in some palettes.

use ratatui::style::{Color, Modifier, Style};

use crate::model::Security;

/// What a piece of the screen means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Figures and names.
    Text,
    /// Labels, lines, what is idle.
    Muted,
    /// Titles, the current tab, what belongs to the selection.
    Accent,
    /// Names and headings.
    Strong,
    /// The selected row.
    Selected,
    /// In order.
    Ok,
    /// Getting worse.
    Warn,
    /// Failing now.
    Bad,
    /// A letter of security, and what stands for it.
    Secured(Security),
}

/// A mapping of roles to styles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// For dark backgrounds.
    #[default]
    Dark,
    /// For light backgrounds.
    Light,
    /// No colours: bold, dim, reverse and underline only (also NO_COLOR).
    Mono,
}

impl Theme {
    /// The theme of a name.
    pub fn from_name(name: &str) -> Option<Theme> {
        [Theme::Dark, Theme::Light, Theme::Mono].into_iter().find(|t| t.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Theme::Dark => "dark",
            Theme::Light => "light",
            Theme::Mono => "mono",
        }
    }

    /// The next one, for the key that turns through them.
    #[must_use]
    pub fn next(self) -> Theme {
        match self {
            Theme::Dark => Theme::Light,
            Theme::Light => Theme::Mono,
            Theme::Mono => Theme::Dark,
        }
    }

    /// The style of a role.
    pub fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let colour = |c: Color, m: Modifier| plain.fg(c).add_modifier(m);
        let none = Modifier::empty();
        match (role, self) {
            (Role::Text, _) => plain,
            (Role::Muted, _) => plain.add_modifier(Modifier::DIM),
            (Role::Strong, _) => plain.add_modifier(Modifier::BOLD),
            (Role::Selected, _) => plain.add_modifier(Modifier::REVERSED),
            (Role::Accent, Theme::Dark) => colour(Color::Cyan, none),
            (Role::Accent, Theme::Light) => colour(Color::Blue, none),
            (Role::Accent, Theme::Mono) => plain.add_modifier(Modifier::BOLD),
            (Role::Ok, Theme::Dark | Theme::Light) => colour(Color::Green, none),
            (Role::Ok, Theme::Mono) => plain,
            (Role::Warn, Theme::Dark) => colour(Color::Yellow, none),
            // Yellow cannot be read on white.
            (Role::Warn, Theme::Light) => colour(Color::Magenta, none),
            (Role::Warn, Theme::Mono) => plain.add_modifier(Modifier::UNDERLINED),
            (Role::Bad, Theme::Dark) => colour(Color::LightRed, Modifier::BOLD),
            (Role::Bad, Theme::Light) => colour(Color::Red, Modifier::BOLD),
            (Role::Bad, Theme::Mono) => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            (Role::Secured(security), _) => self.secured(security),
        }
    }

    /// The letter says what it is, the colour how calm one may be: what is open to read warns, what
    /// failed is bad, what is encrypted on both sides' word is in order.
    fn secured(self, security: Security) -> Style {
        let plain = Style::new();
        match (security, self) {
            (Security::Plaintext, _) => self.style(Role::Warn),
            (Security::Failed, _) => self.style(Role::Bad),
            (Security::Mtls, Theme::Mono) => plain.add_modifier(Modifier::BOLD),
            (Security::Mtls, _) => plain.fg(Color::Green).add_modifier(Modifier::BOLD),
            (Security::Implied | Security::Tunnel, Theme::Dark | Theme::Light) => plain.fg(Color::Green),
            (Security::Tls, Theme::Dark) => plain.fg(Color::Cyan),
            (Security::Tls, Theme::Light) => plain.fg(Color::Blue),
            (Security::Resumed, Theme::Dark) => plain.fg(Color::LightBlue),
            (Security::Resumed, Theme::Light) => plain.fg(Color::Cyan),
            (Security::Unknown, Theme::Dark | Theme::Light) => plain.add_modifier(Modifier::ITALIC),
            (Security::Unknown, Theme::Mono) => plain.add_modifier(Modifier::DIM),
            (_, Theme::Mono) => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 8] = [
        Role::Text,
        Role::Muted,
        Role::Accent,
        Role::Strong,
        Role::Selected,
        Role::Ok,
        Role::Warn,
        Role::Bad,
    ];

    #[test]
    fn mono_has_no_colour() {
        for role in ROLES {
            let s = Theme::Mono.style(role);
            assert_eq!((s.fg, s.bg), (None, None), "{role:?}");
        }
        for security in crate::model::SECURITIES {
            let s = Theme::Mono.style(Role::Secured(security));
            assert_eq!((s.fg, s.bg), (None, None), "{security:?}");
        }
    }

    #[test]
    fn bad_differs_from_text_in_every_theme() {
        for theme in [Theme::Dark, Theme::Light, Theme::Mono] {
            assert_ne!(theme.style(Role::Bad), theme.style(Role::Text));
            assert_eq!(Theme::from_name(theme.name()), Some(theme));
        }
    }
}
