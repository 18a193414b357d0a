;; A matrix over GF(2^8) times shards: four rows and 32 bytes at a time.
;;
;; A byte is the sum of its upper and its lower four bits, so its product with a coefficient is the
;; sum of two of 16 products each, and one swizzle looks up 16 of them. With four rows the eight
;; sums stay in registers while all inputs pass, and each vector of a table that is loaded serves
;; twice. Memory: tables, then slots of `stride` bytes, one per input, then one per output.
;;
;; The build also compiles this text with `i8x16.relaxed_swizzle` in place of `i8x16.swizzle`. They
;; differ for indices from 16 on only, and there are none here.
(module
  (memory (export "memory") 16 16)

  ;; For each group of four rows: for each input, for each row, 16 products of the lower and 16 of
  ;; the upper four bits. `bytes` and `groups` are at least 1; up to 31 bytes beyond `bytes` are
  ;; read and written, which is to lie within the slots.
  (func (export "multiply")
    (param $tables i32) (param $groups i32)
    (param $inputs i32) (param $count i32) (param $outputs i32)
    (param $stride i32) (param $bytes i32)
    (local $end i32) (local $at i32) (local $input i32) (local $table i32) (local $output i32)
    (local $nibble v128) (local $low v128) (local $high v128)
    (local $low0 v128) (local $low1 v128) (local $high0 v128) (local $high1 v128)
    (local $sum00 v128) (local $sum01 v128) (local $sum10 v128) (local $sum11 v128)
    (local $sum20 v128) (local $sum21 v128) (local $sum30 v128) (local $sum31 v128)
    (local.set $nibble (i8x16.splat (i32.const 15)))
    (loop $group
      (local.set $end
        (i32.add (local.get $tables) (i32.shl (local.get $count) (i32.const 7))))
      (local.set $at (i32.const 0))
      (loop $column
        (local.set $sum00 (v128.const i64x2 0 0))
        (local.set $sum01 (v128.const i64x2 0 0))
        (local.set $sum10 (v128.const i64x2 0 0))
        (local.set $sum11 (v128.const i64x2 0 0))
        (local.set $sum20 (v128.const i64x2 0 0))
        (local.set $sum21 (v128.const i64x2 0 0))
        (local.set $sum30 (v128.const i64x2 0 0))
        (local.set $sum31 (v128.const i64x2 0 0))
        (local.set $input (i32.add (local.get $inputs) (local.get $at)))
        (local.set $table (local.get $tables))
        (loop $shard
          (local.set $high0 (v128.load (local.get $input)))
          (local.set $low0 (v128.and (local.get $high0) (local.get $nibble)))
          (local.set $high0
            (v128.and (i16x8.shr_u (local.get $high0) (i32.const 4)) (local.get $nibble)))
          (local.set $high1 (v128.load offset=16 (local.get $input)))
          (local.set $low1 (v128.and (local.get $high1) (local.get $nibble)))
          (local.set $high1
            (v128.and (i16x8.shr_u (local.get $high1) (i32.const 4)) (local.get $nibble)))

          (local.set $low (v128.load (local.get $table)))
          (local.set $high (v128.load offset=16 (local.get $table)))
          (local.set $sum00 (v128.xor (local.get $sum00) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low0))
            (i8x16.swizzle (local.get $high) (local.get $high0)))))
          (local.set $sum01 (v128.xor (local.get $sum01) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low1))
            (i8x16.swizzle (local.get $high) (local.get $high1)))))

          (local.set $low (v128.load offset=32 (local.get $table)))
          (local.set $high (v128.load offset=48 (local.get $table)))
          (local.set $sum10 (v128.xor (local.get $sum10) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low0))
            (i8x16.swizzle (local.get $high) (local.get $high0)))))
          (local.set $sum11 (v128.xor (local.get $sum11) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low1))
            (i8x16.swizzle (local.get $high) (local.get $high1)))))

          (local.set $low (v128.load offset=64 (local.get $table)))
          (local.set $high (v128.load offset=80 (local.get $table)))
          (local.set $sum20 (v128.xor (local.get $sum20) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low0))
            (i8x16.swizzle (local.get $high) (local.get $high0)))))
          (local.set $sum21 (v128.xor (local.get $sum21) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low1))
            (i8x16.swizzle (local.get $high) (local.get $high1)))))

          (local.set $low (v128.load offset=96 (local.get $table)))
          (local.set $high (v128.load offset=112 (local.get $table)))
          (local.set $sum30 (v128.xor (local.get $sum30) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low0))
            (i8x16.swizzle (local.get $high) (local.get $high0)))))
          (local.set $sum31 (v128.xor (local.get $sum31) (v128.xor
            (i8x16.swizzle (local.get $low) (local.get $low1))
            (i8x16.swizzle (local.get $high) (local.get $high1)))))

          (local.set $input (i32.add (local.get $input) (local.get $stride)))
          (local.set $table (i32.add (local.get $table) (i32.const 128)))
          (br_if $shard (i32.lt_u (local.get $table) (local.get $end))))

        (local.set $output (i32.add (local.get $outputs) (local.get $at)))
        (v128.store (local.get $output) (local.get $sum00))
        (v128.store offset=16 (local.get $output) (local.get $sum01))
        (local.set $output (i32.add (local.get $output) (local.get $stride)))
        (v128.store (local.get $output) (local.get $sum10))
        (v128.store offset=16 (local.get $output) (local.get $sum11))
        (local.set $output (i32.add (local.get $output) (local.get $stride)))
        (v128.store (local.get $output) (local.get $sum20))
        (v128.store offset=16 (local.get $output) (local.get $sum21))
        (local.set $output (i32.add (local.get $output) (local.get $stride)))
        (v128.store (local.get $output) (local.get $sum30))
        (v128.store offset=16 (local.get $output) (local.get $sum31))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br_if $column (i32.lt_u (local.get $at) (local.get $bytes))))

      (local.set $tables (local.get $end))
      (local.set $outputs
        (i32.add (local.get $outputs) (i32.shl (local.get $stride) (i32.const 2))))
      (local.set $groups (i32.sub (local.get $groups) (i32.const 1)))
      (br_if $group (local.get $groups)))))
