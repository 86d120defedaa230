// Package methodtest calls every method of an interface, so that a test of a promise of
// all methods covers later methods too. It is for tests only.
package methodtest

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// Errors calls every method of the interface I on impl except those in skip, with
// non-empty arguments. It returns the methods' errors by name.
func Errors[I any](t *testing.T, impl I, skip ...string) map[string]error {
	t.Helper()
	errs := map[string]error{}
	kind := reflect.TypeFor[I]()
	for i := range kind.NumMethod() {
		name := kind.Method(i).Name
		if slices.Contains(skip, name) {
			continue
		}
		method := reflect.ValueOf(&impl).Elem().Method(i)
		var args []reflect.Value
		for j := range method.Type().NumIn() {
			args = append(args, some(t, method.Type().In(j)))
		}
		call := method.Call
		if method.Type().IsVariadic() {
			call = method.CallSlice
		}
		out := call(args)
		errs[name], _ = out[len(out)-1].Interface().(error)
	}
	return errs
}

// some returns a value of a type: a time is now, a list has one element.
func some(t *testing.T, kind reflect.Type) reflect.Value {
	v := reflect.New(kind).Elem()
	switch {
	case kind == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Now()))
	case kind.Kind() == reflect.Interface: // the context
		v.Set(reflect.ValueOf(t.Context()))
	case kind.Kind() == reflect.Slice:
		v.Set(reflect.Append(v, some(t, kind.Elem())))
	case kind.Kind() == reflect.String:
		v.SetString("x")
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case kind.Kind() == reflect.Struct:
		for _, f := range v.Fields() {
			if f.CanSet() && (f.CanInt() || f.CanUint() || f.Kind() == reflect.String) {
				f.Set(some(t, f.Type()))
			}
		}
	}
	return v
}
