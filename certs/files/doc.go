// Package files serves a certificate that somebody else keeps in a Secret, cert-manager for instance, and the kubelet
// mounts: it reads tls.crt and tls.key of a folder and takes up every change of them without a restart.
//
// # Why it polls
//
// The kubelet replaces a mounted Secret by swapping a symbolic link to a folder, so that the inode of tls.crt never
// changes and a watch on it reports nothing; watching the folder instead has to be right about links, and some file
// systems report no events at all, which is why controller-runtime's certwatcher polls behind its watch, too. Two small
// files read every [PollEvery] are no load, and soon enough by far: the kubelet itself takes about a minute, and a
// certificate is renewed long before it expires.
package files
