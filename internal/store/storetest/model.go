package storetest

import "testing"

func model(t *testing.T, e Engine) {}
