// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {CairnToken} from "../../solidity/CairnToken.sol";
import {Test} from "./Vm.sol";

contract CairnTokenTest is Test {
    uint256 private constant CAP = 1_000_000 ether;
    CairnToken private token;

    function setUp() public {
        token = new CairnToken(1 ether, CAP);
        token.setMinter(address(this));
    }

    function testFuzz_mintsNoMoreThanTheCapInOneYear(uint256[8] memory amounts, uint256 start)
        public
    {
        vm.warp(token.deployedAt() + (start % 1000) * 365 days);
        uint256 minted;
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint256 amount = amounts[i] % (CAP / 3);
            if (minted + amount > CAP) {
                vm.expectRevert(
                    abi.encodeWithSelector(CairnToken.AboveYearlyCap.selector, amount, CAP - minted)
                );
                token.mint(address(1), amount);
            } else {
                token.mint(address(1), amount);
                minted += amount;
            }
        }
        assertEqual("supply", 1 ether + minted, token.totalSupply());
    }

    function testFuzz_mintsForNobodyElse(address sender) public {
        vm.assume(sender != address(this));
        vm.prank(sender);
        vm.expectRevert(abi.encodeWithSelector(CairnToken.NotMinter.selector, sender));
        token.mint(sender, 1);
    }
}
