package fcfake

// WriteTriggerResponse is exported for the tests only.
var WriteTriggerResponse = writeTriggerResponse
