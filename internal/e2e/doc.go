// Package e2e tests the two programs from outside, as a user, an agent or a
// thief meets them: real processes, sockets, terminals and files. It holds no
// code of its own; each test has a home to itself.
package e2e
