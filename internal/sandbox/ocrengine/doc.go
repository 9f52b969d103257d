// Package ocrengine reads the front of a Chinese identity card from a picture for the sandbox's OCR gateway: PP-OCRv4 on ONNX
// Runtime in a Node.js child process finds the lines of text, and this package makes a card of them. It never leaves the
// machine, never keeps a picture and never logs what it read.
//
// # Limits
//
// The recogniser's dictionary lacks 1,276 of the 3,008 level-2 characters of the Table of General Standard Chinese
// Characters: names with 赟 翀 曈 旻 and places such as 鄠邑 cannot come out right, and 仫佬 may come out as 仡佬. Full-width
// and half-width parentheses look alike to it, so an address always gets full-width ones. A thin 一 at the end of an address
// may be missed. Back sides of cards, first-generation cards (15-digit numbers) and HEIC pictures are not read.
package ocrengine
