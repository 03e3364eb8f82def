//! A text as a QR code: for a page as SVG, for a terminal as blocks.

use core::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Light modules around the code, without which cameras do not find it (ISO/IEC 18004 section 5.3).
const QUIET: i32 = 4;
/// The same for a terminal, where space is scarce and the background mostly even.
const QUIET_IN_TERMINAL: i32 = 2;

/// A text as a picture.
#[derive(Clone)]
pub struct Qr(QrCode);

impl core::fmt::Debug for Qr {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("Qr(..)")
    }
}

impl Qr {
    /// The picture, with as few modules as can be: on a screen none is damaged. None for a text that
    /// is too long for any.
    pub fn of(text: &str) -> Option<Self> {
        QrCode::encode_text(text, QrCodeEcc::Low).ok().map(Self)
    }

    /// A drawing in the colour of the text around it, on nothing. It says what it is to whoever
    /// cannot see it.
    pub fn svg(&self, title: &str) -> String {
        let size = self.0.size();
        let whole = size.saturating_add(QUIET.saturating_mul(2));
        let mut path = String::new();
        for y in 0..size {
            let mut x = 0;
            while x < size {
                let run = self.run(x, y);
                if run > 0 {
                    let (left, top) = (x.saturating_add(QUIET), y.saturating_add(QUIET));
                    // Writing to a text does not fail.
                    let _ = write!(path, "M{left} {top}h{run}v1h-{run}z");
                }
                x = x.saturating_add(run.max(1));
            }
        }
        let title = title.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {whole}\" role=\"img\" \
             shape-rendering=\"crispEdges\"><title>{title}</title>\
             <path fill=\"currentColor\" d=\"{path}\"/></svg>"
        )
    }

    /// Lines of half blocks, two modules high, dark on light whatever the terminal's colours.
    pub fn blocks(&self) -> String {
        let size = self.0.size();
        let end = size.saturating_add(QUIET_IN_TERMINAL);
        let mut text = String::new();
        let mut y = -QUIET_IN_TERMINAL;
        while y < end {
            text.push_str("\u{1b}[30;107m");
            for x in -QUIET_IN_TERMINAL..end {
                // What lies outside the code is light.
                let (upper, lower) =
                    (self.0.get_module(x, y), self.0.get_module(x, y.saturating_add(1)));
                text.push(match (upper, lower) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str("\u{1b}[0m\n");
            y = y.saturating_add(2);
        }
        text
    }

    /// How many dark modules follow each other from here on.
    fn run(&self, x: i32, y: i32) -> i32 {
        let mut end = x;
        while self.0.get_module(end, y) {
            end = end.saturating_add(1);
        }
        end.saturating_sub(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modules that the drawing shows, read back from its path.
    fn drawn(svg: &str) -> Vec<(i32, i32)> {
        let path = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut modules = Vec::new();
        for part in path.split('M').skip(1) {
            let (place, run) = part.split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let (x, y): (i32, i32) = (x.parse().unwrap(), y.parse().unwrap());
            let run: i32 = run.split('v').next().unwrap().parse().unwrap();
            modules.extend((x..x + run).map(|x| (x - QUIET, y - QUIET)));
        }
        modules
    }

    #[test]
    fn a_drawing_has_exactly_the_modules_of_the_code() {
        let qr = Qr::of("otpauth://totp/acme:ops?secret=GEZDGNBVGY3TQOJQ").unwrap();
        let svg = qr.svg("A <code> & more");
        let size = qr.0.size();
        let dark: Vec<(i32, i32)> = (0..size)
            .flat_map(|y| (0..size).map(move |x| (x, y)))
            .filter(|(x, y)| qr.0.get_module(*x, *y))
            .collect();
        assert_eq!(drawn(&svg), dark);
        assert!(svg.contains("<title>A &lt;code> &amp; more</title>"), "{svg}");
        assert!(svg.contains(&format!("viewBox=\"0 0 {0} {0}\"", size + 8)), "{svg}");
    }

    #[test]
    fn a_terminal_shows_two_modules_in_each_character() {
        let qr = Qr::of("otpauth://totp/acme:ops").unwrap();
        let lines: Vec<String> = qr.blocks().lines().map(str::to_owned).collect();
        let width = usize::try_from(qr.0.size()).unwrap() + 4;
        assert_eq!(lines.len(), width.div_ceil(2));
        for line in lines {
            let shown = line.strip_prefix("\u{1b}[30;107m").unwrap().strip_suffix("\u{1b}[0m");
            assert_eq!(shown.unwrap().chars().count(), width);
        }
    }

    #[test]
    fn what_no_code_can_hold_has_no_picture() {
        assert!(Qr::of(&"x".repeat(3_000)).is_none());
    }
}
