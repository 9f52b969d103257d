package explorer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"fc-idcard-ocr/internal/bucket"
	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/result"
)

// version identifies a version of the image as OSS does.
type version struct {
	etag     string
	modified time.Time
	id       string
}

func versionOf(i result.Image) version {
	return version{etag: i.ETag, modified: i.LastModified, id: i.VersionID}
}

// history is what the invariants need to know of a schedule.
type history struct {
	versions   []version         // that were there, in order; a version that was put back in the same second is one
	contents   map[string]string // by ETag
	uploads    int
	changes    map[time.Time]int // of the image, by second
	documents  [][]byte          // that were written, in order, each once
	landing    *request          // is carried out late
	violations []string
	exempt     map[string]int // how often each documented exception was used

	deletedDocuments int         // that were final, by others than this program
	lostClaims       int         // that others deleted, or OSS after the sender had given up, though the image was not settled
	copiedClaims     int         // to which nobody can append
	forced           int         // deliveries that were to pay again
	deletedResults   int         // of these, claims that held a paid result
	lostTold         int         // extra charges that lost claims recorded
	lateWrites       int         // documents that OSS wrote after their sender had given up, over others
	refusals         int         // calls that the gateway refused for the moment, after which the next generation's nonce is sent
	holder           *invocation // who has written the claim's last line that fits
	lastLine         string      // its MAC
	author           *invocation // of the document that is there
	lateDocument     int         // the step at which the document that is there was written late; 0 if it was not
}

func (w *world) violate(format string, args ...any) {
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

func (w *world) except(reason string) {
	if w.exempt == nil {
		w.exempt = map[string]int{}
	}
	w.exempt[reason]++
}

func (w *world) noteVersion(o bucket.Object, content string) {
	if w.contents == nil {
		w.contents, w.changes = map[string]string{}, map[time.Time]int{}
	}
	v := version{etag: o.ETag, modified: o.LastModified, id: o.VersionID}
	w.contents[v.etag] = content
	w.changes[wholeSecond()]++
	w.uploads++
	w.versions = append(slices.DeleteFunc(w.versions, func(other version) bool { return other == v }), v)
}

func (w *world) deleteImage() {
	w.storage.delete(w.imageKey)
	w.changes[wholeSecond()]++
}

// document returns the document that is there, nil if there is none that can be read.
func (w *world) document() *result.Document {
	o, ok := w.storage.objects[w.keys.Result(w.imageKey)]
	if !ok {
		return nil
	}
	d, err := result.Parse(o.body)
	if err != nil {
		w.violate("what is beside the image is no document")
		return nil
	}
	return d
}

func isPaid(d *result.Document) bool { return d != nil && d.OCR.Charged && d.Status != result.Failed }

func (w *world) deleteDocument() {
	if d := w.document(); d != nil && d.Final() {
		w.deletedDocuments++
	}
	w.storage.delete(w.keys.Result(w.imageKey))
}

func (w *world) deleteClaim() {
	w.loseClaim()
	w.storage.delete(w.keys.Claim(w.imageKey))
}

// loseClaim notes that a claim is removed by others than its holder.
func (w *world) loseClaim() {
	w.lostClaims++
	w.lastLine = ""
	claim := w.storage.objects[w.keys.Claim(w.imageKey)].body
	w.lostTold += toldBy(claim)
	if bytes.Contains(claim, []byte(`"result":{`)) {
		w.deletedResults++
	}
	for _, i := range w.invocations {
		i.robbed = i.robbed || i.live()
	}
}

// effect carries a request out and checks what it changed.
func (w *world) effect(r *request) error {
	var before *result.Document
	if r.op == "PUT" {
		before = w.document()
	}
	charged := len(w.gateway.charges)
	if o := w.storage.objects[w.keys.Claim(w.imageKey)]; o.appendable && r.op == "DELETE" {
		w.checkDelete(r)
	}
	err := r.land()
	switch {
	case r.op == "APPEND" && err == nil:
		var line struct{ MAC, Previous string }
		if json.Unmarshal(r.body, &line) == nil && line.Previous == w.lastLine { // else it arrived in another claim of that length
			w.holder, w.lastLine = r.by, line.MAC
		}
	case r.op == "DELETE":
		w.lastLine = ""
	case r.op == "POST" && len(w.gateway.charges) > charged:
		r.paid = w.gateway.charges[charged]
		r.paid.sent = r.sent
		w.checkCharge(r.paid)
	case r.op == "PUT" && err == nil:
		w.checkDocument(before, r)
	}
	return err
}

// checkDelete: nobody removes another one's claim.
func (w *world) checkDelete(r *request) {
	switch {
	case w.landing == r:
		w.loseClaim()
	case w.holder == r.by:
	case r.by.robbed || w.lostClaims > 0: // and has not noticed
		w.loseClaim()
	case w.copiedClaims > 0:
		w.loseClaim()
		w.except("two deliveries replaced a claim that somebody had copied")
	default:
		w.violate("invocation %d removes the claim of invocation %d", r.by.number, w.holder.number)
	}
}

// checkCharge: an answer that was received is not paid for again.
func (w *world) checkCharge(c *charge) {
	for _, earlier := range w.gateway.charges {
		if earlier == c || c.by.delivery.force || earlier.version != c.version || !earlier.answered.Before(c.sent) || earlier.useless || earlier.by.dead() {
			continue
		}
		switch {
		case w.deletedDocuments > 0:
			w.except("a final document was deleted by somebody else: paid again")
		case w.lateWrites > 0:
			w.except("OSS carried out a PUT after a newer one: paid again")
		case w.deletedResults+w.copiedClaims > 0:
			w.except("a claim with a paid result was deleted or copied by somebody else: paid again")
		case earlier.by.robbed || c.by.robbed:
			w.except("a claim was removed while its holder was at work: paid again")
		case earlier.by.unsaved():
			w.except("OSS took neither document nor claim: paid again")
		case w.sameSecond(c.version):
			w.except("the image was replaced twice in a second: paid again")
		default:
			w.violate("version %s is paid again by invocation %d, though invocation %d has received the answer", w.name(c.version), c.by.number, earlier.by.number)
		}
	}
}

// sameSecond reports whether the image changed more than once in the second of a version, so that Last-Modified cannot distinguish the versions.
func (w *world) sameSecond(v version) bool { return !w.setup.Versioned && w.changes[v.modified] > 1 }

func (w *world) name(v version) string {
	return fmt.Sprintf("%q of %s", w.contents[v.etag], v.modified.Format("15:04:05"))
}

// checkDocument: a document is correct, and does not replace a more valuable one, or one of its version that tells more charges.
func (w *world) checkDocument(before *result.Document, r *request) {
	d, err := result.Parse(r.body)
	if err != nil {
		w.violate("what invocation %d wrote is no document", r.by.number)
		return
	}
	if !slices.ContainsFunc(w.documents, func(other []byte) bool { return bytes.Equal(other, r.body) }) {
		w.documents = append(w.documents, r.body)
	}
	w.checkTruth(d)
	late, author := w.lateDocument, w.author
	w.lateDocument, w.author = 0, r.by
	if w.landing == r {
		w.lateDocument = w.steps
	}
	if !isPaid(before) || bytes.Equal(before.Encode(), r.body) {
		return
	}
	if versionOf(before.Image) == versionOf(d.Image) && d.OCR.PossibleExtraCharges < before.OCR.PossibleExtraCharges {
		switch {
		case w.forced > 0: // a forced call begins to count anew
		case w.landing == r || late > r.by.looked:
			w.except("OSS carried out a PUT late: a document tells fewer charges")
		case r.by.robbed || author.robbed:
			w.except("a claim was removed while its holder was at work: its document tells fewer charges")
		default:
			w.violate("invocation %d tells of %d extra charges, after %d", r.by.number, d.OCR.PossibleExtraCharges, before.OCR.PossibleExtraCharges)
		}
	}
	old, written := slices.Index(w.versions, versionOf(before.Image)), slices.Index(w.versions, versionOf(d.Image))
	covered := d.Status == result.Failed && written <= old || written < old
	switch {
	case !covered:
	case w.landing == r:
		w.lateWrites++
		w.except("OSS carried out a PUT after a newer one")
	case w.sameSecond(versionOf(before.Image)) || w.sameSecond(versionOf(d.Image)):
		w.lateWrites++
		w.except("the image was replaced twice in a second: the older version's document came last")
	case r.by.robbed || author.robbed:
		w.lateWrites++
		w.except("a claim was removed while its holder was at work: its document covered another holder's")
	case late > r.by.looked:
		w.lateWrites++
		w.except("OSS carried out a PUT late, between another invocation's HEAD and its PUT")
	default:
		w.violate("invocation %d covers the paid document of %s with one of %s (%s)", r.by.number, w.name(versionOf(before.Image)), w.name(versionOf(d.Image)), d.Status)
	}
}

// checkTruth: a card belongs to the ETag beside it.
func (w *world) checkTruth(d *result.Document) {
	content, ok := w.contents[d.Image.ETag]
	lie := ""
	switch {
	case d.Image.ETag == "" && d.Status == result.Failed: // a failure before the image was inspected
	case !ok:
		lie = "an unknown version"
	case d.Status == result.Recognized && d.Card.Name != content:
		lie = fmt.Sprintf("the card of %q", d.Card.Name)
	case d.Status == result.Unrecognized && content != blank:
		lie = "no card"
	}
	switch {
	case lie == "":
	case w.sameSecond(versionOf(d.Image)) && (w.setup.Source != config.Data || w.setup.Processed):
		w.except("the image was replaced twice in a second: another version's card")
	default:
		w.violate("the document of %s tells %s", w.name(versionOf(d.Image)), lie)
	}
}

// finish delivers the image's present version, with nothing in the way, and checks the end.
func (w *world) finish() {
	w.final = true
	w.late, w.queue = nil, nil
	time.Sleep(w.setup.lease() + 10*time.Second)
	image, err := w.storage.head(w.imageKey)
	present := err == nil
	err = w.cleanDelivery(image.ETag)
	if err != nil && present && w.mend() {
		err = w.cleanDelivery(image.ETag)
	}
	if err != nil {
		err = w.cleanDelivery(image.ETag)
	}
	if err != nil && w.deletedDocuments+w.lostClaims > 0 { // the nonces of the calls that it told of are refused, one a delivery
		w.except("a final document or a claim was removed: a third delivery")
		err = w.cleanDelivery(image.ETag)
	}
	if present {
		w.checkPresent(image, err)
	}
	for n := 0; present && len(w.violations) == 0 && err != nil; n++ {
		if n == 4 {
			w.violate("the image is not settled after %d deliveries with nothing in the way: %v", n+2, err)
			return
		}
		time.Sleep(memory + time.Minute)
		err = w.cleanDelivery(image.ETag)
	}
	if len(w.violations) == 0 {
		w.checkEnd(present)
		w.checkCharges()
	}
}

func (w *world) cleanDelivery(etag string) error {
	w.events++
	w.start(delivery{requestID: fmt.Sprint("clean", w.events), etag: etag})
	i := w.invocations[len(w.invocations)-1]
	for i.live() && len(w.violations) == 0 {
		w.step()
	}
	if i.dead() {
		w.violate("a delivery with nothing in the way does not end by its deadline")
	}
	time.Sleep(time.Minute) // until the platform's next attempt
	return i.err
}

// checkPresent: after a clean delivery and one more attempt there is a document about the present version.
func (w *world) checkPresent(image bucket.Object, err error) {
	d := w.document()
	switch {
	case d == nil:
		w.violate("the image has no document: %v", err)
	case d.Image.ETag != image.ETag:
		w.violate("the document is about %s, not the present version: %v", w.name(versionOf(d.Image)), err)
	case d.Final() != (err == nil):
		w.violate("the document is final: %t, and the platform heard: %v", d.Final(), err)
	}
}

// checkEnd: what is settled is so for a reason, and leaves no claim.
func (w *world) checkEnd(present bool) {
	if claim, ok := w.storage.objects[w.keys.Claim(w.imageKey)]; ok && present {
		w.violate("a claim is left: %s", claim.body)
	}
	if d := w.document(); present && d != nil && d.Error != nil {
		switch d.Error.Code {
		case result.NotRecognized, result.AnswerLost, result.BadAnswer:
		case result.ImageRejected: // see checkTruth
		default:
			w.violate("the image is settled by the failure %s: %s", d.Error.Code, d.Error.Message)
		}
	}
}

// checkCharges: what was charged is accounted for.
func (w *world) checkCharges() {
	allowed := len(w.versions) + w.forced + w.told()
	if charged := len(w.gateway.charges); charged > allowed {
		removed := min(w.lostClaims+w.copiedClaims, w.forgotten()+w.refusals) + w.lostTold
		if w.uploads > len(w.versions) && charged <= allowed+w.uploads-len(w.versions) {
			w.except("the image was replaced twice in a second: charged again")
		} else if charged > allowed+w.deletedDocuments+w.lateWrites+removed {
			w.violate("%d charges for %d versions, %d extra ones told", charged, len(w.versions), w.told())
		}
		w.exceptOutside(removed)
	}
	most := 2
	if w.setup.OnLost == config.Park {
		most = 1
	}
	count := map[version]int{}
	for _, c := range w.gateway.charges {
		count[c.version]++
	}
	for v, n := range count {
		removed := min(w.lostClaims+w.copiedClaims, w.forgotten()+w.refusals)
		switch {
		case n <= most+w.forced:
		case n <= most*(1+w.deletedDocuments+removed)+w.forced+w.lateWrites: // what was removed had counted them
			w.exceptOutside(removed)
		case w.sameSecond(v):
			w.except("the image was replaced twice in a second: charged again")
		default:
			w.violate("version %s was charged %d times with OCR_ON_LOST_ANSWER=%s", w.name(v), n, w.setup.OnLost)
		}
	}
}

// exceptOutside notes why there is a charge too many.
func (w *world) exceptOutside(removed int) {
	if w.deletedDocuments > 0 {
		w.except("a final document was deleted by somebody else: charged again")
	}
	if w.lateWrites > 0 {
		w.except("OSS carried out a PUT after a newer one: charged again")
	}
	if removed > 0 {
		w.except("a claim was removed, and the gateway had forgotten its nonce or refused it for another reason: charged again")
	}
}

// forgotten counts the charges after which another one came for the same version when the nonce was no longer valid.
func (w *world) forgotten() (n int) {
	for a, earlier := range w.gateway.charges {
		if slices.ContainsFunc(w.gateway.charges[a+1:], func(c *charge) bool {
			return c.version == earlier.version && c.at.Sub(earlier.at) >= memory-time.Minute
		}) {
			n++
		}
	}
	return n
}

// told counts the extra charges in documents and claim. A count goes on from claim to document and from document to
// document until a final one, and begins anew after it.
func (w *world) told() int {
	sum, current, settled := 0, 0, false
	next := func(n int) {
		if settled {
			sum, current = sum+current, 0
		}
		current = max(current, n)
	}
	for _, body := range w.documents {
		d, err := result.Parse(body)
		if err != nil {
			continue
		}
		next(d.OCR.PossibleExtraCharges)
		settled = d.Final()
	}
	if n := toldBy(w.storage.objects[w.keys.Claim(w.imageKey)].body); n > 0 {
		next(n)
	}
	return sum + current
}

// toldBy returns the largest number of extra charges in a line of a claim.
func toldBy(claim []byte) (most int) {
	for text := range bytes.Lines(claim) {
		var line struct {
			PossibleExtraCharges int `json:"possibleExtraCharges"`
		}
		if json.Unmarshal(text, &line) == nil {
			most = max(most, line.PossibleExtraCharges)
		}
	}
	return most
}
