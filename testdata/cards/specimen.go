// Package cards holds pictures of specimens: cards that belong to nobody.
package cards

import _ "embed"

// Specimen is a JPEG of a card that belongs to nobody.
//
//go:embed scan-01.jpg
var Specimen []byte
