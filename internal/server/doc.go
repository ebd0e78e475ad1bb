// Package server is the HTTPS server that the API server calls.
//
// It takes the place of controller-runtime's, satisfies the same interface, and adds what a webhook on the path of
// every pod needs: limits on everything that a client can make it hold, and an end without a lost request. Nobody has
// to prove who they are to reach its port, unless [Options].Clients is set, so each limit is made so that one client
// that reaches it leaves the others what they need:
//
//   - Connections are counted by source address. Where there are too many, those that wait for nothing in particular
//     are closed first, from the address that has most of them. One whose request is being answered never is.
//   - A body counts against the bytes in memory while it is read and until it is answered. A body that takes longer than
//     a second to arrive gives way to others, and no address gets more than half.
//   - A request counts against those in flight only once all of it has arrived, so that slow clients cannot fill the
//     places of fast ones. No path gets more than half.
//
// A request that finds no place is answered 429 with Retry-After, upon which the API server tries again within the
// webhook's timeout (client-go, rest/with_retry.go).
//
// A connection is closed with the answer to a request, or by the client. Where the server has to close one that waits
// for a request, it says farewell, see [Server.Start].
package server
