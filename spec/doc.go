// Package spec holds the specifications of Thumbturn's bytes and promises, and
// the test that runs over the vectors beside them. It has no code.
//
// The test opens what the program sealed with nothing but the standard library,
// Argon2id and these pages: a second implementation, so that page and program
// cannot drift apart unnoticed.
package spec
