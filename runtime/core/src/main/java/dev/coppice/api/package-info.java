/**
 * What goes in and out of the library. Nothing here takes or gives {@code null} but where {@code @Nullable} says so: a {@code null} is refused by
 * {@link NullPointerException}, a value outside of what its description allows by {@link IllegalArgumentException}, and both name it.
 */
@NullMarked
package dev.coppice.api;

import org.jspecify.annotations.NullMarked;
