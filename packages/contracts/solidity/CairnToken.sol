// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title The network's token
/// @notice One minter, named once by the deployer; what it mints in a year is capped.
contract CairnToken is ERC20, ERC20Permit, ERC20Votes {
    error NotDeployer(address sender);
    error NotMinter(address sender);
    error MinterIsSet(address minter);
    error AboveYearlyCap(uint256 wanted, uint256 left);

    event MinterSet(address minter);

    address public immutable deployer;
    uint256 public immutable yearlyCap;
    uint256 public immutable deployedAt;

    address public minter;

    /// Base units minted by year since deployment.
    mapping(uint256 year => uint256 amount) public mintedIn;

    /// @param supply base units the deployer starts with
    /// @param yearlyCap_ base units the minter may mint in 365 days
    constructor(uint256 supply, uint256 yearlyCap_) ERC20("Cairn", "CAIRN") ERC20Permit("Cairn") {
        deployer = msg.sender;
        yearlyCap = yearlyCap_;
        deployedAt = block.timestamp;
        _mint(msg.sender, supply);
    }

    function setMinter(address minter_) external {
        if (msg.sender != deployer) revert NotDeployer(msg.sender);
        if (minter != address(0)) revert MinterIsSet(minter);
        minter = minter_;
        emit MinterSet(minter_);
    }

    function mint(address to, uint256 amount) external {
        if (msg.sender != minter) revert NotMinter(msg.sender);
        uint256 year = (block.timestamp - deployedAt) / 365 days;
        uint256 left = yearlyCap - mintedIn[year];
        if (amount > left) revert AboveYearlyCap(amount, left);
        mintedIn[year] += amount;
        _mint(to, amount);
    }

    /// Destroys base units of the sender's own.
    function burn(uint256 amount) external {
        _burn(msg.sender, amount);
    }

    /// Votes are counted by time, since block times differ between chains.
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    // The name is ERC-6372's.
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value)
        internal
        override(ERC20, ERC20Votes)
    {
        super._update(from, to, value);
    }
}
