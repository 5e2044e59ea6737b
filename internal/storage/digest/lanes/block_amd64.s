#include "textflag.h"

// MD5 (RFC 1321) of eight streams at once. Lane i of each vector belongs to stream i.
//
// Y0 to Y3 are a, b, c and d. SP points to the 16 words of a block of each stream. DX points
// to the constants. R8 to R13, SI and DI point to the data, which BX is the offset into.

// ROW8 loads 32 bytes of each stream.
#define ROW8(at) \
	VMOVDQU at(R8)(BX*1), Y8; \
	VMOVDQU at(R9)(BX*1), Y9; \
	VMOVDQU at(R10)(BX*1), Y10; \
	VMOVDQU at(R11)(BX*1), Y11; \
	VMOVDQU at(R12)(BX*1), Y12; \
	VMOVDQU at(R13)(BX*1), Y13; \
	VMOVDQU at(SI)(BX*1), Y14; \
	VMOVDQU at(DI)(BX*1), Y15

// PAIR stores words n and n+4 of what was loaded, whose halves are in x and y.
#define PAIR(x, y, to) \
	VPERM2I128 $0x20, y, x, Y15; \
	VMOVDQU Y15, to(SP); \
	VPERM2I128 $0x31, y, x, Y15; \
	VMOVDQU Y15, (to+128)(SP)

// TRANSPOSE stores eight vectors of one word each, of the eight streams of eight words in Y8 to Y15.
#define TRANSPOSE(to) \
	VPUNPCKLDQ Y9, Y8, Y4; \
	VPUNPCKHDQ Y9, Y8, Y9; \
	VPUNPCKLDQ Y11, Y10, Y8; \
	VPUNPCKHDQ Y11, Y10, Y11; \
	VPUNPCKLDQ Y13, Y12, Y10; \
	VPUNPCKHDQ Y13, Y12, Y13; \
	VPUNPCKLDQ Y15, Y14, Y12; \
	VPUNPCKHDQ Y15, Y14, Y15; \
	VPUNPCKLQDQ Y8, Y4, Y14; \
	VPUNPCKHQDQ Y8, Y4, Y4; \
	VPUNPCKLQDQ Y11, Y9, Y8; \
	VPUNPCKHQDQ Y11, Y9, Y9; \
	VPUNPCKLQDQ Y12, Y10, Y11; \
	VPUNPCKHQDQ Y12, Y10, Y10; \
	VPUNPCKLQDQ Y15, Y13, Y12; \
	VPUNPCKHQDQ Y15, Y13, Y13; \
	PAIR(Y14, Y11, to); \
	PAIR(Y4, Y10, to+32); \
	PAIR(Y8, Y12, to+64); \
	PAIR(Y9, Y13, to+96)

// ADD adds a word of the block and a constant to a.
#define ADD(a, word, k) \
	VPBROADCASTD (4*k)(DX), Y5; \
	VPADDD (32*word)(SP), Y5, Y5; \
	VPADDD Y5, a, a

// ROTATE rotates a to the left and adds b.
#define ROTATE(a, b, left) \
	VPSLLD $left, a, Y5; \
	VPSRLD $(32-left), a, a; \
	VPOR Y5, a, a; \
	VPADDD b, a, a

// FF is a step of the first round: F is (b AND c) OR (NOT b AND d), or ((c XOR d) AND b) XOR d.
#define FF(a, b, c, d, word, left, k) \
	ADD(a, word, k); \
	VPXOR c, d, Y4; \
	VPAND b, Y4, Y4; \
	VPXOR d, Y4, Y4; \
	VPADDD Y4, a, a; \
	ROTATE(a, b, left)

// GG is a step of the second round: G is (b AND d) OR (c AND NOT d), of which no bit is set in both.
#define GG(a, b, c, d, word, left, k) \
	ADD(a, word, k); \
	VPANDN c, d, Y4; \
	VPADDD Y4, a, a; \
	VPAND b, d, Y4; \
	VPADDD Y4, a, a; \
	ROTATE(a, b, left)

// HH is a step of the third round: H is b XOR c XOR d.
#define HH(a, b, c, d, word, left, k) \
	ADD(a, word, k); \
	VPXOR c, d, Y4; \
	VPXOR b, Y4, Y4; \
	VPADDD Y4, a, a; \
	ROTATE(a, b, left)

// II is a step of the fourth round: I is c XOR (b OR NOT d). All bits of Y6 are set.
#define II(a, b, c, d, word, left, k) \
	ADD(a, word, k); \
	VPXOR Y6, d, Y4; \
	VPOR b, Y4, Y4; \
	VPXOR c, Y4, Y4; \
	VPADDD Y4, a, a; \
	ROTATE(a, b, left)

// func block8(state *[4][8]uint32, data *[8]*byte, blocks int)
TEXT ·block8(SB), 0, $512-24
	MOVQ state+0(FP), AX
	MOVQ data+8(FP), CX
	MOVQ 0(CX), R8
	MOVQ 8(CX), R9
	MOVQ 16(CX), R10
	MOVQ 24(CX), R11
	MOVQ 32(CX), R12
	MOVQ 40(CX), R13
	MOVQ 48(CX), SI
	MOVQ 56(CX), DI
	MOVQ blocks+16(FP), CX
	LEAQ constants<>(SB), DX
	XORQ BX, BX
	VMOVDQU 0(AX), Y0
	VMOVDQU 32(AX), Y1
	VMOVDQU 64(AX), Y2
	VMOVDQU 96(AX), Y3
	VPCMPEQD Y6, Y6, Y6
	TESTQ CX, CX
	JLE done

block:
	ROW8(0)
	TRANSPOSE(0)
	ROW8(32)
	TRANSPOSE(256)

	FF(Y0, Y1, Y2, Y3, 0, 7, 0)
	FF(Y3, Y0, Y1, Y2, 1, 12, 1)
	FF(Y2, Y3, Y0, Y1, 2, 17, 2)
	FF(Y1, Y2, Y3, Y0, 3, 22, 3)
	FF(Y0, Y1, Y2, Y3, 4, 7, 4)
	FF(Y3, Y0, Y1, Y2, 5, 12, 5)
	FF(Y2, Y3, Y0, Y1, 6, 17, 6)
	FF(Y1, Y2, Y3, Y0, 7, 22, 7)
	FF(Y0, Y1, Y2, Y3, 8, 7, 8)
	FF(Y3, Y0, Y1, Y2, 9, 12, 9)
	FF(Y2, Y3, Y0, Y1, 10, 17, 10)
	FF(Y1, Y2, Y3, Y0, 11, 22, 11)
	FF(Y0, Y1, Y2, Y3, 12, 7, 12)
	FF(Y3, Y0, Y1, Y2, 13, 12, 13)
	FF(Y2, Y3, Y0, Y1, 14, 17, 14)
	FF(Y1, Y2, Y3, Y0, 15, 22, 15)

	GG(Y0, Y1, Y2, Y3, 1, 5, 16)
	GG(Y3, Y0, Y1, Y2, 6, 9, 17)
	GG(Y2, Y3, Y0, Y1, 11, 14, 18)
	GG(Y1, Y2, Y3, Y0, 0, 20, 19)
	GG(Y0, Y1, Y2, Y3, 5, 5, 20)
	GG(Y3, Y0, Y1, Y2, 10, 9, 21)
	GG(Y2, Y3, Y0, Y1, 15, 14, 22)
	GG(Y1, Y2, Y3, Y0, 4, 20, 23)
	GG(Y0, Y1, Y2, Y3, 9, 5, 24)
	GG(Y3, Y0, Y1, Y2, 14, 9, 25)
	GG(Y2, Y3, Y0, Y1, 3, 14, 26)
	GG(Y1, Y2, Y3, Y0, 8, 20, 27)
	GG(Y0, Y1, Y2, Y3, 13, 5, 28)
	GG(Y3, Y0, Y1, Y2, 2, 9, 29)
	GG(Y2, Y3, Y0, Y1, 7, 14, 30)
	GG(Y1, Y2, Y3, Y0, 12, 20, 31)

	HH(Y0, Y1, Y2, Y3, 5, 4, 32)
	HH(Y3, Y0, Y1, Y2, 8, 11, 33)
	HH(Y2, Y3, Y0, Y1, 11, 16, 34)
	HH(Y1, Y2, Y3, Y0, 14, 23, 35)
	HH(Y0, Y1, Y2, Y3, 1, 4, 36)
	HH(Y3, Y0, Y1, Y2, 4, 11, 37)
	HH(Y2, Y3, Y0, Y1, 7, 16, 38)
	HH(Y1, Y2, Y3, Y0, 10, 23, 39)
	HH(Y0, Y1, Y2, Y3, 13, 4, 40)
	HH(Y3, Y0, Y1, Y2, 0, 11, 41)
	HH(Y2, Y3, Y0, Y1, 3, 16, 42)
	HH(Y1, Y2, Y3, Y0, 6, 23, 43)
	HH(Y0, Y1, Y2, Y3, 9, 4, 44)
	HH(Y3, Y0, Y1, Y2, 12, 11, 45)
	HH(Y2, Y3, Y0, Y1, 15, 16, 46)
	HH(Y1, Y2, Y3, Y0, 2, 23, 47)

	II(Y0, Y1, Y2, Y3, 0, 6, 48)
	II(Y3, Y0, Y1, Y2, 7, 10, 49)
	II(Y2, Y3, Y0, Y1, 14, 15, 50)
	II(Y1, Y2, Y3, Y0, 5, 21, 51)
	II(Y0, Y1, Y2, Y3, 12, 6, 52)
	II(Y3, Y0, Y1, Y2, 3, 10, 53)
	II(Y2, Y3, Y0, Y1, 10, 15, 54)
	II(Y1, Y2, Y3, Y0, 1, 21, 55)
	II(Y0, Y1, Y2, Y3, 8, 6, 56)
	II(Y3, Y0, Y1, Y2, 15, 10, 57)
	II(Y2, Y3, Y0, Y1, 6, 15, 58)
	II(Y1, Y2, Y3, Y0, 13, 21, 59)
	II(Y0, Y1, Y2, Y3, 4, 6, 60)
	II(Y3, Y0, Y1, Y2, 11, 10, 61)
	II(Y2, Y3, Y0, Y1, 2, 15, 62)
	II(Y1, Y2, Y3, Y0, 9, 21, 63)

	VPADDD 0(AX), Y0, Y0
	VPADDD 32(AX), Y1, Y1
	VPADDD 64(AX), Y2, Y2
	VPADDD 96(AX), Y3, Y3
	VMOVDQU Y0, 0(AX)
	VMOVDQU Y1, 32(AX)
	VMOVDQU Y2, 64(AX)
	VMOVDQU Y3, 96(AX)
	ADDQ $64, BX
	DECQ CX
	JNZ block

done:
	VZEROUPPER
	RET

// The constants of the steps: the integer part of 2^32 times abs(sin(i+1)).
DATA constants<>+0(SB)/4, $0xd76aa478
DATA constants<>+4(SB)/4, $0xe8c7b756
DATA constants<>+8(SB)/4, $0x242070db
DATA constants<>+12(SB)/4, $0xc1bdceee
DATA constants<>+16(SB)/4, $0xf57c0faf
DATA constants<>+20(SB)/4, $0x4787c62a
DATA constants<>+24(SB)/4, $0xa8304613
DATA constants<>+28(SB)/4, $0xfd469501
DATA constants<>+32(SB)/4, $0x698098d8
DATA constants<>+36(SB)/4, $0x8b44f7af
DATA constants<>+40(SB)/4, $0xffff5bb1
DATA constants<>+44(SB)/4, $0x895cd7be
DATA constants<>+48(SB)/4, $0x6b901122
DATA constants<>+52(SB)/4, $0xfd987193
DATA constants<>+56(SB)/4, $0xa679438e
DATA constants<>+60(SB)/4, $0x49b40821
DATA constants<>+64(SB)/4, $0xf61e2562
DATA constants<>+68(SB)/4, $0xc040b340
DATA constants<>+72(SB)/4, $0x265e5a51
DATA constants<>+76(SB)/4, $0xe9b6c7aa
DATA constants<>+80(SB)/4, $0xd62f105d
DATA constants<>+84(SB)/4, $0x02441453
DATA constants<>+88(SB)/4, $0xd8a1e681
DATA constants<>+92(SB)/4, $0xe7d3fbc8
DATA constants<>+96(SB)/4, $0x21e1cde6
DATA constants<>+100(SB)/4, $0xc33707d6
DATA constants<>+104(SB)/4, $0xf4d50d87
DATA constants<>+108(SB)/4, $0x455a14ed
DATA constants<>+112(SB)/4, $0xa9e3e905
DATA constants<>+116(SB)/4, $0xfcefa3f8
DATA constants<>+120(SB)/4, $0x676f02d9
DATA constants<>+124(SB)/4, $0x8d2a4c8a
DATA constants<>+128(SB)/4, $0xfffa3942
DATA constants<>+132(SB)/4, $0x8771f681
DATA constants<>+136(SB)/4, $0x6d9d6122
DATA constants<>+140(SB)/4, $0xfde5380c
DATA constants<>+144(SB)/4, $0xa4beea44
DATA constants<>+148(SB)/4, $0x4bdecfa9
DATA constants<>+152(SB)/4, $0xf6bb4b60
DATA constants<>+156(SB)/4, $0xbebfbc70
DATA constants<>+160(SB)/4, $0x289b7ec6
DATA constants<>+164(SB)/4, $0xeaa127fa
DATA constants<>+168(SB)/4, $0xd4ef3085
DATA constants<>+172(SB)/4, $0x04881d05
DATA constants<>+176(SB)/4, $0xd9d4d039
DATA constants<>+180(SB)/4, $0xe6db99e5
DATA constants<>+184(SB)/4, $0x1fa27cf8
DATA constants<>+188(SB)/4, $0xc4ac5665
DATA constants<>+192(SB)/4, $0xf4292244
DATA constants<>+196(SB)/4, $0x432aff97
DATA constants<>+200(SB)/4, $0xab9423a7
DATA constants<>+204(SB)/4, $0xfc93a039
DATA constants<>+208(SB)/4, $0x655b59c3
DATA constants<>+212(SB)/4, $0x8f0ccc92
DATA constants<>+216(SB)/4, $0xffeff47d
DATA constants<>+220(SB)/4, $0x85845dd1
DATA constants<>+224(SB)/4, $0x6fa87e4f
DATA constants<>+228(SB)/4, $0xfe2ce6e0
DATA constants<>+232(SB)/4, $0xa3014314
DATA constants<>+236(SB)/4, $0x4e0811a1
DATA constants<>+240(SB)/4, $0xf7537e82
DATA constants<>+244(SB)/4, $0xbd3af235
DATA constants<>+248(SB)/4, $0x2ad7d2bb
DATA constants<>+252(SB)/4, $0xeb86d391
GLOBL constants<>(SB), RODATA|NOPTR, $256
