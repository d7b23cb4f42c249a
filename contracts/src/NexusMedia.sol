// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControlEnumerable} from "@openzeppelin/contracts/access/extensions/AccessControlEnumerable.sol";
import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {ERC2981} from "@openzeppelin/contracts/token/common/ERC2981.sol";
import {Bytes} from "@openzeppelin/contracts/utils/Bytes.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @title Titles of a media server, each at most once.
/// @notice A token's id is the sha-256 digest of its metadata (one raw IPFS block), so the same metadata cannot be minted
/// twice and its URI needs no storage. Tokens cannot be burnt: an id that was minted stays minted.
/// @dev Minting reads one slot beside the token's own (the minter's role). A pause therefore does not set a flag that
/// minting would have to read: it takes MINTER_ROLE from everybody.
contract NexusMedia is ERC721, ERC2981, AccessControlEnumerable, IERC4906 {
    /// @notice May mint.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    /// @notice May grant and revoke MINTER_ROLE and nothing else.
    bytes32 public constant ROTATOR_ROLE = keccak256("ROTATOR_ROLE");
    /// @notice May pause and unpause.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");
    /// @notice Most minters at a time, so that a pause always fits one block.
    uint256 public constant MAX_MINTERS = 64;

    /// @notice Whether transfers are stopped; while they are, nobody has or gets MINTER_ROLE.
    bool public paused;
    string private _contractURI;

    event Paused(address indexed account);
    event Unpaused(address indexed account);
    event ContractURIUpdated();
    event DefaultRoyaltySet(address indexed receiver, uint96 basisPoints);
    event TokenRoyaltySet(uint256 indexed tokenId, address indexed receiver, uint96 basisPoints);

    error ZeroAddress();
    error EmptyBatch();
    error IsPaused();
    error IsNotPaused();
    error TooManyMinters(uint256 most);

    /// @param admin Gets every role but MINTER_ROLE.
    /// @param royaltyReceiver Where royalties go, as a splitter.
    /// @param royaltyBps Default royalty in basis points of a sale, at most 10,000.
    constructor(
        string memory name_,
        string memory symbol_,
        string memory contractURI_,
        address admin,
        address royaltyReceiver,
        uint96 royaltyBps
    ) ERC721(name_, symbol_) {
        _setRoleAdmin(MINTER_ROLE, ROTATOR_ROLE);
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(ROTATOR_ROLE, admin);
        _grantRole(PAUSER_ROLE, admin);
        _contractURI = contractURI_;
        _setDefaultRoyalty(royaltyReceiver, royaltyBps);
        emit DefaultRoyaltySet(royaltyReceiver, royaltyBps);
    }

    /// @notice Mint one token; reverts with ERC721InvalidSender(0) when it is minted already.
    /// @param tokenId sha-256 digest of the metadata.
    function mint(address to, uint256 tokenId) external onlyRole(MINTER_ROLE) {
        _mint(to, tokenId);
    }

    /// @notice Mint one token with a royalty of its own, paid to the default receiver of this moment.
    function mintWithRoyalty(address to, uint256 tokenId, uint96 royaltyBps) external onlyRole(MINTER_ROLE) {
        _mint(to, tokenId);
        (address receiver, ) = royaltyInfo(tokenId, 0);
        _setTokenRoyalty(tokenId, receiver, royaltyBps);
        emit TokenRoyaltySet(tokenId, receiver, royaltyBps);
    }

    /// @notice Mint all of these tokens, or none.
    function mintBatch(address to, uint256[] calldata tokenIds) external onlyRole(MINTER_ROLE) {
        uint256 count = tokenIds.length;
        if (count == 0) revert EmptyBatch();
        for (uint256 i; i < count; ++i) {
            _mint(to, tokenIds[i]);
        }
    }

    /// @notice Stop transfers and take MINTER_ROLE from everybody.
    function pause() external onlyRole(PAUSER_ROLE) {
        if (paused) revert IsPaused();
        paused = true;
        for (uint256 left = getRoleMemberCount(MINTER_ROLE); left > 0; --left) {
            _revokeRole(MINTER_ROLE, getRoleMember(MINTER_ROLE, left - 1));
        }
        emit Paused(_msgSender());
    }

    /// @notice Let transfers go on; minters are granted anew by the rotator, so that a stolen key does not come back.
    function unpause() external onlyRole(PAUSER_ROLE) {
        if (!paused) revert IsNotPaused();
        paused = false;
        emit Unpaused(_msgSender());
    }

    /// @notice Set where royalties of tokens without a royalty of their own go, and how much.
    function setDefaultRoyalty(address receiver, uint96 basisPoints) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setDefaultRoyalty(receiver, basisPoints);
        emit DefaultRoyaltySet(receiver, basisPoints);
    }

    /// @notice Set one token's royalty.
    function setTokenRoyalty(uint256 tokenId, address receiver, uint96 basisPoints) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _requireOwned(tokenId);
        _setTokenRoyalty(tokenId, receiver, basisPoints);
        emit TokenRoyaltySet(tokenId, receiver, basisPoints);
    }

    /// @notice Set the URI of the collection's own metadata (ERC-7572).
    function setContractURI(string calldata uri) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _contractURI = uri;
        emit ContractURIUpdated();
    }

    /// @notice Ask marketplaces to read a token's metadata again (ERC-4906); what they read cannot have changed, only whether
    /// they could reach it.
    function announceMetadata(uint256 tokenId) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _requireOwned(tokenId);
        emit MetadataUpdate(tokenId);
    }

    /// @notice The same for every token.
    function announceAllMetadata() external onlyRole(DEFAULT_ADMIN_ROLE) {
        emit BatchMetadataUpdate(0, type(uint256).max);
    }

    /// @notice URI of the collection's own metadata (ERC-7572).
    function contractURI() external view returns (string memory) {
        return _contractURI;
    }

    /// @notice `ipfs://` and the token's CIDv1 in base16: raw codec (55), sha2-256 (12), 32 bytes (20).
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        bytes memory hexDigits = Bytes.slice(bytes(Strings.toHexString(tokenId, 32)), 2);
        return string.concat("ipfs://f01551220", string(hexDigits));
    }

    /// @inheritdoc IERC165
    function supportsInterface(
        bytes4 interfaceId
    ) public view override(ERC721, ERC2981, AccessControlEnumerable, IERC165) returns (bool) {
        return interfaceId == 0x49064906 || super.supportsInterface(interfaceId);
    }

    /// @dev A pause stops transfers; minting is stopped by the missing role.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        if (from != address(0) && paused) revert IsPaused();
    }

    function _grantRole(bytes32 role, address account) internal override returns (bool granted) {
        if (account == address(0)) revert ZeroAddress();
        if (role == MINTER_ROLE && paused) revert IsPaused();
        granted = super._grantRole(role, account);
        if (role == MINTER_ROLE && getRoleMemberCount(MINTER_ROLE) > MAX_MINTERS) revert TooManyMinters(MAX_MINTERS);
    }
}
