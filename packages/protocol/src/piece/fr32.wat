;; fr32 with two lanes of 64 bits at a time: 127 bytes to 128, four leaves of 254 bits.
;;
;; Leaf n begins at bit 254 n, which is bit 0, 6, 4 or 2 of byte 0, 31, 63 or 95. A lane is shifted
;; down by those bits; what enters at its top are the lowest bits of the lane one byte further, which
;; agrees with it everywhere else. Memory: the payload, then the leaves.
(module
  (memory (export "memory") 18 18)

  ;; `quads` is at least 1; one byte beyond the payload is read, and does not matter.
  (func (export "pad") (param $payload i32) (param $leaves i32) (param $quads i32)
    (local $mask v128)
    (local.set $mask (v128.const i64x2 -1 0x3fffffffffffffff))
    (loop $quad
      (v128.store (local.get $leaves) (v128.load (local.get $payload)))
      (v128.store offset=16 (local.get $leaves)
        (v128.and (local.get $mask) (v128.load offset=16 (local.get $payload))))

      (v128.store offset=32 (local.get $leaves)
        (v128.or
          (i64x2.shr_u (v128.load offset=31 (local.get $payload)) (i32.const 6))
          (i64x2.shl (v128.load offset=32 (local.get $payload)) (i32.const 2))))
      (v128.store offset=48 (local.get $leaves)
        (v128.and (local.get $mask)
          (v128.or
            (i64x2.shr_u (v128.load offset=47 (local.get $payload)) (i32.const 6))
            (i64x2.shl (v128.load offset=48 (local.get $payload)) (i32.const 2)))))

      (v128.store offset=64 (local.get $leaves)
        (v128.or
          (i64x2.shr_u (v128.load offset=63 (local.get $payload)) (i32.const 4))
          (i64x2.shl (v128.load offset=64 (local.get $payload)) (i32.const 4))))
      (v128.store offset=80 (local.get $leaves)
        (v128.and (local.get $mask)
          (v128.or
            (i64x2.shr_u (v128.load offset=79 (local.get $payload)) (i32.const 4))
            (i64x2.shl (v128.load offset=80 (local.get $payload)) (i32.const 4)))))

      (v128.store offset=96 (local.get $leaves)
        (v128.or
          (i64x2.shr_u (v128.load offset=95 (local.get $payload)) (i32.const 2))
          (i64x2.shl (v128.load offset=96 (local.get $payload)) (i32.const 6))))
      (v128.store offset=112 (local.get $leaves)
        (v128.and (local.get $mask)
          (v128.or
            (i64x2.shr_u (v128.load offset=111 (local.get $payload)) (i32.const 2))
            (i64x2.shl (v128.load offset=112 (local.get $payload)) (i32.const 6)))))

      (local.set $payload (i32.add (local.get $payload) (i32.const 127)))
      (local.set $leaves (i32.add (local.get $leaves) (i32.const 128)))
      (local.set $quads (i32.sub (local.get $quads) (i32.const 1)))
      (br_if $quad (local.get $quads)))))
