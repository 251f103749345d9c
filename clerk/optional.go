package clerk

// Optional is a field of a payload: absent, null, or a value. The zero Optional is absent.
type Optional[T any] struct {
	value T
	state state
}

type state uint8

const (
	absent state = iota
	null
	present
)

// Some is a field that is there with a value.
func Some[T any](v T) Optional[T] { return Optional[T]{value: v, state: present} }

// Null is a field that is there and says that there is no value.
func Null[T any]() Optional[T] { return Optional[T]{state: null} }

// Present says that the payload has the key, be its value null or not.
func (o Optional[T]) Present() bool { return o.state != absent }

// Value is the value and true, or the zero T and false when the field is absent or null.
func (o Optional[T]) Value() (T, bool) { return o.value, o.state == present }
