/** What goes in and out of the library. Nothing here takes or gives {@code null} but where {@code @Nullable} says so. */
@NullMarked
package dev.coppice.api;

import org.jspecify.annotations.NullMarked;
