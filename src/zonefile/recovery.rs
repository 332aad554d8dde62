//! Reading on after an error, where BIND does.
//!
//! ```text
//! a line that is given up ─► where BIND's lexer stands then ─┬─► the end of that line, or of the next
//!                                                            └─► the rest of the line, taken for a new one
//! ```
//!
//! What is said of the lines behind an error depends on it: BIND takes tokens one by one, and loses the next
//! line when one was missing at the end of a line. Lines are read at once here, so after an error the lexer
//! goes back.

use super::RecordRef;
use super::diagnostics::{Kind, Near, Place, quoted};
use super::lexer::{LexError, Lexed, Lexer, Line, Quotes};
use super::reader::{File, GiveUp, Head, Reader};
use crate::dns::rdata::{self, RdataTextError, Token};

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    /// Leaves a line that has been given up.
    pub(super) fn read_on<'a>(&mut self, file: &File, lexer: &mut Lexer<'a>, line: &Line<'a>, how: GiveUp) {
        match how {
            GiveUp::NextLine => {}
            GiveUp::Skip => self.skipping = true,
            GiveUp::Behind(tokens) | GiveUp::Extra(tokens) => {
                if line.error.is_some() || line.ends_file {
                    lexer.rewind(line, tokens);
                    self.skipping = true;
                }
            }
            GiveUp::Special(index) => {
                lexer.rewind(line, index);
                // It has been reported.
                let _ = lexer.token(Quotes::Special);
                self.skipping = true;
            }
            GiveUp::Rdata { token, reason } => {
                lexer.rewind(line, token);
                let span = line.at(token).span;
                self.leave_rdata(file, lexer, Place { line: 0, span }, reason);
            }
            GiveUp::RdataEnd { reason } => {
                let span = line.at(line.tokens.len()).span;
                self.leave_rdata(file, lexer, Place { line: 0, span }, reason);
            }
        }
    }

    /// Reads up to the end of a line.
    pub(super) fn skip_line(&mut self, file: &File, lexer: &mut Lexer<'_>) {
        loop {
            let before = Place::line(lexer.number());
            match lexer.token(Quotes::Expected) {
                Ok(Lexed::EndOfFile) => return,
                Ok(Lexed::EndOfLine) => {
                    self.skipping = false;
                    return;
                }
                Ok(Lexed::Special) => self.error(file, before, Kind::Syntax("syntax error")),
                Ok(Lexed::Word(_) | Lexed::Quoted) => {}
                Err(error) => {
                    let kind = Kind::Lexical { reason: error.reason(), noticed: lexer.number() };
                    self.error(file, before, kind);
                }
            }
        }
    }

    /// How to read on behind RDATA that is wrong, or that is followed by something that is no token.
    pub(super) fn wrong_rdata(
        &mut self,
        file: &File,
        line: &Line<'_>,
        head: &Head,
        error: Option<RdataTextError>,
    ) -> GiveUp {
        let tokens = &line.tokens[head.rdata_at..];
        let Some(end) = line.error else {
            let (at, reason) =
                error.map_or((tokens.len(), "unexpected end of input"), |e| (e.token, e.reason));
            return self.report_rdata(file, line, head, at, reason);
        };
        if let Some(RdataTextError { token, reason }) = error
            && token < tokens.len()
        {
            return self.report_rdata(file, line, head, token, reason);
        }
        if tokens.is_empty() {
            // BIND: looks whether the first token is `\#`; an error ends that at once.
            let place = Place { line: line.end_number, ..line.at(line.tokens.len()) };
            self.error(file, place, Kind::Rdata { near: Near::Special, reason: end.reason() });
            return match end {
                LexError::Nul => self.special(file, line, line.tokens.len()),
                _ => GiveUp::NextLine,
            };
        }
        // What does the type want here? A quoted string shows it.
        let mut probe = tokens.to_vec();
        probe.push(Token { text: b"0", quoted: true });
        let wanted =
            rdata::from_text(self.options.class, head.rtype, &probe, &file.origin, &mut Vec::new()).err();
        let wanted = wanted.filter(|wanted| wanted.token == tokens.len()).map(|wanted| wanted.reason);
        match wanted {
            // Whatever follows.
            Some(reason) if error.is_some_and(|error| error.reason == reason) => {
                if reason == "unexpected end of input"
                    && !end.is_special()
                    && self.reads_on(file, head, tokens)
                {
                    return GiveUp::RdataEnd { reason };
                }
                self.report_rdata(file, line, head, tokens.len(), reason)
            }
            Some(reason @ "extra input text") => self.report_rdata(file, line, head, tokens.len(), reason),
            Some(reason @ ("unexpected token" | "not a valid number")) if end.is_special() => {
                self.report_rdata(file, line, head, tokens.len(), reason)
            }
            _ if end == LexError::Nul => {
                self.report_rdata(file, line, head, tokens.len(), "unexpected token")
            }
            _ => {
                // What has been read has been looked at.
                match self.check_rdata(file, line, head, tokens.len(), None) {
                    Ok(()) => GiveUp::RdataEnd { reason: end.reason() },
                    Err(how) => how,
                }
            }
        }
    }

    /// Whether RDATA that is wrong would take one more word: then the mistake is not in the words before it.
    fn reads_on(&self, file: &File, head: &Head, tokens: &[Token<'_>]) -> bool {
        let mut probe = tokens.to_vec();
        probe.push(Token { text: b"00", quoted: false });
        rdata::from_text(self.options.class, head.rtype, &probe, &file.origin, &mut Vec::new())
            .err()
            .is_none_or(|error| error.token > tokens.len())
    }

    /// The error at one token of the RDATA, behind what is doubtful in the tokens before it.
    fn report_rdata(
        &mut self,
        file: &File,
        line: &Line<'_>,
        head: &Head,
        at: usize,
        reason: &'static str,
    ) -> GiveUp {
        if let Err(how) = self.check_rdata(file, line, head, at, None) {
            return how;
        }
        GiveUp::Rdata { token: head.rdata_at + at, reason }
    }

    /// Says where RDATA is wrong, and reads up to the end of the line without a further word.
    fn leave_rdata(&mut self, file: &File, lexer: &mut Lexer<'_>, place: Place, reason: &'static str) {
        let mut said = false;
        loop {
            let place = Place { line: lexer.number(), ..place };
            let token = lexer.token(Quotes::Special);
            let near = match token {
                Ok(Lexed::Word(text)) => Near::Word(quoted(text)),
                Ok(Lexed::EndOfLine) => Near::EndOfLine,
                Ok(Lexed::EndOfFile) => Near::EndOfFile,
                Ok(Lexed::Special | Lexed::Quoted) | Err(_) => Near::Special,
            };
            if !said {
                let reason = match token {
                    // BIND: what follows RDATA that is right in itself.
                    Err(error) if reason == "extra input text" => error.reason(),
                    _ => reason,
                };
                self.error(file, place, Kind::Rdata { near, reason });
            } else if token == Ok(Lexed::EndOfFile) {
                let end = Place::line(lexer.number());
                self.warn(file, end, Kind::NoFinalNewline { behind_record: true });
            }
            said = true;
            if matches!(token, Ok(Lexed::EndOfLine | Lexed::EndOfFile) | Err(_)) {
                return;
            }
        }
    }
}
