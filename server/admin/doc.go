// Package admin is how commands of the operator reach a running posthornd: HTTP
// with JSON over a unix socket in the data folder, which only the owner of the
// folder can open. Whoever may open it may read the folder as well, so there is
// no other check. socket.go has the two ends of the socket, client.go what
// commands use, handler.go what the server answers.
package admin
