package verify

import "fc-idcard-ocr/internal/message"

// Assumption is something about OSS, the API gateway, the provider or Function Compute on which docs/guarantees.md rests.
type Assumption struct {
	ID      string
	Says    message.Key
	Source  message.Key
	Follows message.Key // what follows where it does not hold
}

// Assumptions are all of them, in the order in which they are checked. docs/assumptions.md lists them; a test compares.
var Assumptions = []Assumption{
	{"append-creates-once", "of several AppendObject requests at position 0 at once, one creates the object and the others get 409 PositionNotEqualToLength", "OSS, AppendObject", "two deliveries at once can both hold a claim; only the nonce then keeps both from paying"},
	{"append-continues-once", "of several AppendObject requests at the object's length at once, one succeeds; at any other position none does", "OSS, AppendObject", "an expired claim can be taken over twice; only the nonce then keeps both from paying"},
	{"append-crc", "the answer to an append has x-oss-hash-crc64ecma, the CRC-64 of the whole object", "OSS, AppendObject", "each step of a claim costs one read more"},
	{"append-versioned", "appends work, and are conditional, in a bucket with versioning, also after the object was deleted", "OSS, versioning", "claims do not lock in this bucket: switch versioning off"},
	{"append-encrypted", "appends work under the bucket's default encryption and RESULT_ENCRYPTION", "OSS, server-side encryption", "no image is recognised (StorageRefused): set RESULT_ENCRYPTION"},
	{"append-archive", "in an Archive bucket, what is appended with x-oss-storage-class: Standard can be read at once", "OSS, storage classes", "no image is recognised (StorageRefused): use a bucket of class Standard"},
	{"class-standard", "what is written with x-oss-storage-class: Standard is of that class", "OSS, PutObject", "documents can be of a class that has to be restored"},
	{"etag-changes", "the ETag changes with the content, and HEAD tells user metadata as they were written", "OSS, HeadObject", "a replaced image can be taken for the old one: do not use this bucket"},
	{"delete-missing", "a DELETE of an object that is not there succeeds", "OSS, DeleteObject", "releasing a claim can fail; images then wait for the lease"},
	{"head-missing", "HEAD of a missing object is answered with 404", "OSS, HeadObject; undocumented for callers without oss:ListObjects", "no image is recognised (AccessDenied) until the role may oss:ListObjects"},
	{"head-missing-role", "likewise under the function's role", "as before", "as before"},
	{"signed-url", "a signed URL gives the object to anybody without credentials, within its time", "OSS, signed URLs; accounts since 2025-03-20 need their own domain", "the provider cannot fetch pictures: set OSS_PUBLIC_ENDPOINT and OSS_PUBLIC_CNAME, or OCR_IMAGE_SOURCE=data"},
	{"signed-process", "x-oss-process in a signed URL gives the converted picture", "OSS, image processing", "pictures over 1.5 MB and HEIC fail with OCR_IMAGE_SOURCE=url"},
	{"signature-refused", "the gateway refuses a wrong AppSecret or AppCode", "API Gateway, error codes", "the gateway does not check who calls: everybody can use your purchase"},
	{"clock-refused", "the gateway refuses a time stamp that is 20 minutes old", "API Gateway, signature", "a nonce can be accepted again later than 15 minutes after its time: a late request can be charged"},
	{"nonce-signature", "with a signature, the gateway refuses a nonce that it has accepted within 15 minutes", "API Gateway, X-Ca-Nonce", "two holders of a claim can both pay, and a lost answer is paid twice: use OCR_ON_LOST_ANSWER=park"},
	{"nonce-appcode", "likewise with an AppCode", "not documented", "as before: use AppKey and AppSecret"},
	{"refused-free", "a call whose picture cannot be read is not charged, as its answer tells", "the provider's page of the API", "failed images cost as much as recognised ones"},
	{"refused-free-meter", "the provider's meter counts what the answers tell", "the provider's page of the API", "the bill does not match the documents: ask the provider"},
	{"answer-shape", "the answer about a card has the fields of the API's page, and says that it is charged", "the provider's page of the API", "documents are BadAnswer, or lack fields"},
	{"call-time", "a call is answered within OCR_TIMEOUT", "the provider's page tells no time", "calls are lost, and may be paid twice: raise OCR_TIMEOUT"},
	{"provider-fetches", "the provider can fetch the signed URL", "the provider's page of the API", "each image costs a second call, or fails: set OCR_IMAGE_SOURCE=data"},
	{"delivery", "an upload reaches the function by its trigger, which writes the document", "Function Compute, OSS triggers", "images are not recognised: run `ocrctl doctor`"},
	{"eventbridge-form", "events of EventBridge have the form that the function reads", "EventBridge, OSS events", "images are not recognised: use OSS triggers"},
	{"duplicate-free", "a second delivery of the same event is settled without a call", "this project", "images are paid twice: stop the function (`ocrctl pause`) and report it"},
	{"caller-headers", "a caller of the HTTP trigger cannot set x-fc-control-path", "Function Compute, HTTP triggers: x-fc-* are reserved", "callers can hand events to a custom runtime: use the Go runtime, or no HTTP trigger"},
	{"nothing-left", "the check has removed everything that it wrote", "this project", "remove the scratch prefix by hand"},
}
