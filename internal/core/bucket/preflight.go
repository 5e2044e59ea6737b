package bucket

import (
	"cmp"
	"context"

	"watertight/internal/fault"
)

// Preflight answers a browser's preflight request: nil allows the actual request. key is ""
// for a request to the bucket itself (S3 API reference, "OPTIONS object"). It asks for no
// grant, because a preflight has no caller. A request that no rule could match is refused
// before any rule is read. Errors: BadRequest, AccessForbidden.
func (s *Store) Preflight(ctx context.Context, name, key, origin, method string, headers []string) error {
	if origin == "" {
		return fault.New(fault.BadRequest, "Insufficient information. Origin request header needed.")
	}
	kind := "OBJECT"
	if key == "" {
		kind = "BUCKET"
	}
	if method != "" && !isCORSMethod(method) {
		return badMethod(method)
	}
	for _, h := range headers {
		if !isHeader(h) {
			return fault.New(fault.BadRequest, `Access-Control-Request-Headers "`+h+`" contains invalid character.`)
		}
	}
	c, err := s.CORS(ctx, name)
	switch {
	case fault.Is(err, fault.NoSuchBucket):
		return forbidden("CORSResponse: Bucket not found", method, "BUCKET")
	case err != nil:
		return err
	case c == nil:
		return forbidden("CORSResponse: CORS is not enabled for this bucket.", method, "BUCKET")
	case method == "":
		return badMethod("null")
	case c.Match(origin, method, headers) == nil:
		return forbidden(
			"CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, "+
				"request method / Access-Control-Request-Method or Access-Control-Request-Headers are not "+
				"whitelisted by the resource's CORS spec.",
			method, kind,
		)
	}
	return nil
}

func badMethod(method string) error {
	return fault.New(fault.BadRequest, "Invalid Access-Control-Request-Method: "+method)
}

func forbidden(message, method, kind string) error {
	return fault.New(fault.AccessForbidden, message).With("Method", cmp.Or(method, "OPTIONS")).
		With("ResourceType", kind)
}
