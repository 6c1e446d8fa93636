//! Which pictures there are. They are taken in this order in one run of the program: what a
//! picture's keys do adds to those of the pictures before.

/// One picture.
pub struct Picture {
    /// Its file, without the extension.
    pub file: &'static str,
    /// What it shows, for who cannot see it.
    pub title: &'static str,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What is pressed before.
    pub keys: &'static [&'static str],
    /// What has to be on the screen, all of it.
    pub shows: &'static [&'static str],
    /// Whether README shows it: a PNG is made too.
    pub png: bool,
}

const WIDE: (u16, u16) = (120, 40);
const ENTER: &str = "\r";
const ESCAPE: &str = "\x1b";

/// All pictures.
pub const PLAN: &[Picture] = &[
    // First, for the pictures after it: by then the window of 60 s is full.
    Picture {
        file: "agent",
        title: "webb: the agent, its hooks, losses and cost",
        size: WIDE,
        keys: &["6"],
        shows: &["up 2 min", "inet_sock_set_state"],
        png: false,
    },
    Picture {
        file: "connections",
        title: "webb: connections as they open, fail and close",
        size: WIDE,
        keys: &["3"],
        shows: &["refused", "clean"],
        png: false,
    },
    Picture {
        file: "requests",
        title: "webb: what is asked, as it is asked",
        size: WIDE,
        keys: &["4"],
        shows: &["GET", "200"],
        png: false,
    },
    Picture {
        file: "security",
        title: "webb: how connections are secured, and what is not right with it",
        size: WIDE,
        keys: &["5"],
        shows: &["plaintext", "strict ready?"],
        png: false,
    },
    Picture {
        file: "help",
        title: "webb: the keys",
        size: WIDE,
        keys: &["1", "?"],
        shows: &["Help", "opens and closes this help"],
        png: false,
    },
    // Services that fail now and then fail at other times; stock refuses for 20 s of 28 s.
    Picture {
        file: "map",
        title: "webb: the map of the demo, the connection from api to stock failing",
        size: WIDE,
        keys: &["?"],
        shows: &["10 workloads · 10 edges", "× api → stock", "refused since", "● live"],
        png: true,
    },
    Picture {
        file: "edges",
        title: "webb: the edges of the demo, the failing one first",
        size: WIDE,
        keys: &["2"],
        shows: &["CLIENT", "refused", "stock"],
        png: true,
    },
    Picture {
        file: "edge",
        title: "webb: the detail of the failing edge beside the edges",
        size: WIDE,
        keys: &["g", ENTER],
        shows: &["Esc closes", "api → stock", "refused"],
        png: false,
    },
    Picture {
        file: "map-200x60",
        title: "webb: the map of the demo in a terminal of 200 columns",
        size: (200, 60),
        keys: &[ESCAPE, "1"],
        shows: &["stock", "refused since", "● live"],
        png: false,
    },
    Picture {
        file: "map-80x24",
        title: "webb: the map of the demo in a terminal of 80 columns",
        size: (80, 24),
        keys: &[],
        shows: &["stock", "refused since", "● live"],
        png: false,
    },
    Picture {
        file: "edges-80x24",
        title: "webb: the edges of the demo in a terminal of 80 columns",
        size: (80, 24),
        keys: &["2"],
        shows: &["CLIENT", "stock"],
        png: false,
    },
];
